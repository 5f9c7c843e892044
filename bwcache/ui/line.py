"""Who waits for the model, in which place, and for about how long. Knows no component."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from ..errors import DeviceError, MachineError
from ..runs.baselines import BaselineStore, Compare
from ..runs.events import Events
from ..runs.request import Request
from .devices import NONE_LEFT, Devices
from .run_log import RunLog

PATIENCE = 1.0  # seconds between two looks at the line
FULL = "too many are waiting for the model"


@dataclass(frozen=True)
class Place:
    """Where somebody stands in the line.

    Args:
        number: 1 for whoever is next; 0 for whoever has a turn.
        seconds: Until the turn comes, as far as that can be told; None where it cannot.
    """

    number: int
    seconds: float | None = None


class Line:
    """A line in front of the model: whoever came first goes first.

    Args:
        places: How many may have a turn at once.
        most: How many may wait; None for any number.
        clock: Gives seconds.
        devices: Where there are several, each of which has one turn at a time; they say how many
            places there are.
    """

    def __init__(
        self,
        places: int = 1,
        most: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        devices: Devices | None = None,
    ):
        self._given, self._most, self._clock = places, most, clock
        self._devices = devices
        self._changed = threading.Condition()
        self._turns: list[Turn] = []  # in the order in which they came
        self._lasted: dict[object, float] = {}  # what was made → seconds that it last took
        self.closed = False
        if devices is not None:
            devices.changed = self._notify

    @property
    def _places(self) -> int:
        return self._given if self._devices is None else len(self._devices)

    @property
    def out_of_service(self) -> bool:
        """Whether no device is left."""
        return self._devices is not None and not len(self._devices)

    @property
    def running(self) -> int:
        """How many have a turn."""
        with self._changed:
            self._admit()
            return len([turn for turn in self._turns if turn.began is not None])

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        with self._changed:
            self._admit()
            return len([turn for turn in self._turns if turn.began is None])

    def close(self) -> None:
        """Nobody gets a turn any more; who waits finds out at once."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    @property
    def is_full(self) -> bool:
        """Whether as many wait as may."""
        return self._most is not None and self.waiting >= self._most

    def join(self, making: object = None, model: str = "", wanted: Collection[str] = ()) -> Turn:
        """Stand in line; leave it with `Turn.leave`, whatever happens.

        Args:
            making: What is made at the model: what takes about equally long is equal.
            model: Its name, and devices where something lies to go on from; see `Devices.take`.
            wanted: See there.
        """
        turn = Turn(self, making, model, wanted)
        with self._changed:
            self._turns.append(turn)
        return turn

    def place(self, turn: Turn) -> Place:
        """Where a turn stands now."""
        with self._changed:
            return self._place(turn)

    def _place(self, turn: Turn) -> Place:
        if turn not in self._turns:
            return Place(0)
        self._admit()
        if turn.began is not None:
            return Place(0)
        before = self._turns[: self._turns.index(turn)]
        waiting = [each for each in before if each.began is None]
        left = [
            self._left(each) for each in self._turns if each.began is not None or each in waiting
        ]
        known = [seconds for seconds in left if seconds is not None]
        seconds = None
        if len(known) == len(left) and self._places:
            seconds = sum(known) / self._places
        return Place(len(waiting) + 1, seconds)

    def _admit(self) -> None:
        """Whoever came first gets a turn, as long as there is a place; the lock is held."""
        free = self._places - sum(turn.began is not None for turn in self._turns)
        for turn in self._turns:
            if free < 1:
                return
            if turn.began is not None:
                continue
            if self._devices is not None:
                turn.device = self._devices.take(turn.model, turn.wanted)
                if turn.device is None:  # one that has failed is not yet left by its last run
                    return
            turn.began = self._clock()
            free -= 1

    def _left(self, turn: Turn) -> float | None:
        takes = self._lasted.get(turn.making)
        if takes is None or turn.began is None:
            return takes
        return max(0.0, takes - (self._clock() - turn.began))

    def wait(self, turn: Turn, seconds: float) -> bool:
        """Whether the turn has come; waits so long at most.

        Raises:
            DeviceError: It never will, since no device is left.
        """

        def over() -> bool:
            return self.closed or self.out_of_service or self._place(turn).number == 0

        with self._changed:
            came = self._changed.wait_for(over, seconds)
            if turn.began is None and self.out_of_service:
                raise DeviceError(NONE_LEFT)
            return came and not self.closed

    def leave(self, turn: Turn, complete: bool) -> None:
        """Make room.

        Args:
            turn: Whose.
            complete: Whether all that takes time was done.
        """
        with self._changed:
            if turn not in self._turns:
                return
            self._turns.remove(turn)
            if self._devices is not None and turn.device is not None:
                self._devices.give_back(turn.device)
            if complete and turn.began is not None:
                self._lasted[turn.making] = self._clock() - turn.began
            self._changed.notify_all()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()


class Turn:
    """Somebody's, in a line.

    Attributes:
        device: Which it has, where there are several.
    """

    def __init__(self, line: Line, making: object, model: str = "", wanted: Collection[str] = ()):
        self._line, self.making = line, making
        self.model, self.wanted = model, wanted
        self.began: float | None = None
        self.device: str | None = None

    @property
    def place(self) -> Place:
        return self._line.place(self)

    def wait(self, seconds: float) -> bool:
        """Whether it has come; waits so long at most."""
        return self._line.wait(self, seconds)

    def leave(self, complete: bool = False) -> None:
        """Make room for the next; more than once does nothing more."""
        self._line.leave(self, complete)


def in_line(compare: Compare, line: Line, run_log: RunLog | None = None) -> Compare:
    """A `Compare` that waits for its turn.

    Raises:
        MachineError: The line is full or closed.
    """

    def waiting(
        request: Request, store: BaselineStore | None = None, device: str | None = None
    ) -> Events:
        if line.out_of_service:
            raise DeviceError(NONE_LEFT)
        if line.is_full:
            raise MachineError(FULL)
        wanted = () if store is None else store.devices_of(request)
        turn = line.join(("a comparison", request.model), request.model, wanted)
        complete, state = False, "cut"
        asked = began = time.monotonic()
        try:
            while not turn.wait(PATIENCE):
                if line.closed:
                    raise MachineError("the server is being stopped")
            began = time.monotonic()
            yield from compare(request, store, turn.device or device)
            complete, state = True, "done"
        except GeneratorExit:
            raise
        except BaseException:
            state = "error"
            raise
        finally:
            turn.leave(complete)
            if run_log is not None:
                ended = time.monotonic()
                took = (began - asked, ended - began)
                run_log.ended("api", request, state, *took, device=turn.device)

    return waiting
