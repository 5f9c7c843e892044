"""Many comparisons into a file: resumable, shared by the processes of `accelerate launch`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..models.progress import Loading
from ..runs.baselines import BaselineStore
from ..runs.compare import compare
from ..runs.events import ComparisonFinished, StepDone
from ..runs.request import Request
from .find_setting import Compare, comparison
from .results_file import ResultsFile, key

if TYPE_CHECKING:
    from accelerate import PartialState


def sweep(
    requests: Sequence[Request],
    file: ResultsFile,
    compare: Compare = compare,
    device: str | None = None,
) -> Iterator[Loading | StepDone | ComparisonFinished | None]:
    """Make the comparisons that a file does not hold yet, and add each one's summary to it.

    Yields:
        What loading does, and steps as they are done; for each request its end, None where the
        file had it already.

    Raises:
        ConfigError: The file is of some other kind; or see `compare`.
    """
    there, store = {key(row) for row in file.rows()}, BaselineStore()
    for request in requests:
        if key(described(request)) in there:
            yield None
            continue
        finished = yield from comparison(compare(request, store, device))
        file.append(finished.summary.as_dict())
        yield finished


def described(request: Request) -> dict[str, object]:
    """The part of a request's summary that is known before it is run."""
    names = ("model", "random_weights", "prompt", "seed", "steps")
    return {name: getattr(request, name) for name in names} | {"config": request.config.as_dict()}


class Share:
    """This process's part of the prompts: all of them, unless `accelerate launch` started several.

    Args:
        device: As asked for; with several processes each one's own, where None or "cuda".
    """

    def __init__(self, device: str | None = None):
        self.device = device
        self._state: PartialState | None = None
        if int(os.environ.get("WORLD_SIZE", 1)) > 1:
            from accelerate import PartialState

            self._state = PartialState(cpu=device == "cpu")
            self.device = str(self._state.device)

    @property
    def first(self) -> bool:
        """Whether this is the process that speaks for all."""
        return self._state is None or self._state.is_main_process

    def of(self, prompts: Sequence[str]) -> list[str]:
        """The prompts that this process takes."""
        if self._state is None:
            return list(prompts)
        with self._state.split_between_processes(list(prompts)) as own:
            return list(own)

    def wait(self) -> None:
        """Until every process is here."""
        if self._state is not None:
            self._state.wait_for_everyone()
