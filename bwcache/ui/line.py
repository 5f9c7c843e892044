"""Who waits for the model, in which place, and for about how long. Knows no component."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import MachineError
from ..runs.baselines import BaselineStore, Compare
from ..runs.events import Events
from ..runs.request import Request
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
    """

    def __init__(
        self,
        places: int = 1,
        most: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._places, self._most, self._clock = places, most, clock
        self._changed = threading.Condition()
        self._turns: list[Turn] = []  # those at the model lead, since they came first
        self._lasted: dict[object, float] = {}  # what was made → seconds that it last took
        self.closed = False

    @property
    def running(self) -> int:
        """How many have a turn."""
        with self._changed:
            return min(len(self._turns), self._places)

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        with self._changed:
            return max(0, len(self._turns) - self._places)

    def close(self) -> None:
        """Nobody gets a turn any more; who waits finds out at once."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    @property
    def is_full(self) -> bool:
        """Whether as many wait as may."""
        with self._changed:
            waiting = len(self._turns) - self._places
            return self._most is not None and waiting >= self._most

    def join(self, making: object = None) -> Turn:
        """Stand in line; leave it with `Turn.leave`, whatever happens.

        Args:
            making: What is made at the model: what takes about equally long is equal.
        """
        turn = Turn(self, making)
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
        at = self._turns.index(turn)
        if at < self._places:
            if turn.began is None:
                turn.began = self._clock()
            return Place(0)
        left = [self._left(each) for each in self._turns[:at]]
        known = [seconds for seconds in left if seconds is not None]
        seconds = sum(known) / self._places if len(known) == len(left) else None
        return Place(at - self._places + 1, seconds)

    def _left(self, turn: Turn) -> float | None:
        takes = self._lasted.get(turn.making)
        if takes is None or turn.began is None:
            return takes
        return max(0.0, takes - (self._clock() - turn.began))

    def wait(self, turn: Turn, seconds: float) -> bool:
        """Whether the turn has come; waits so long at most."""
        with self._changed:
            came = self._changed.wait_for(
                lambda: self.closed or self._place(turn).number == 0, seconds
            )
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
            if complete and turn.began is not None:
                self._lasted[turn.making] = self._clock() - turn.began
            self._changed.notify_all()


class Turn:
    """Somebody's, in a line."""

    def __init__(self, line: Line, making: object):
        self._line, self.making = line, making
        self.began: float | None = None

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
        if line.is_full:
            raise MachineError(FULL)
        turn, complete, state = line.join(("a comparison", request.model)), False, "cut"
        asked = began = time.monotonic()
        try:
            while not turn.wait(PATIENCE):
                if line.closed:
                    raise MachineError("the server is being stopped")
            began = time.monotonic()
            yield from compare(request, store, device)
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
                run_log.ended("api", request, state, began - asked, ended - began)

    return waiting
