"""Comparisons on Hugging Face's ZeroGPU: a card is lent for one comparison, to a worker process.

Outside ZeroGPU nothing here does anything. There, `spaces` forks the worker, pickles what goes in
and what is yielded, and keeps the worker for the next comparison, with whatever was left in it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

from .. import models
from ..errors import ConfigError, ModelError
from ..models.fit import default, fit_here
from ..models.hub.download import fetch
from ..models.loading import load
from ..models.machine import on_zerogpu, this_machine
from ..models.progress import Loading
from ..runs.baselines import BaselineStore
from ..runs.compare import learn
from ..runs.events import ComparisonFinished, Event, Events, RunFinished
from ..runs.request import Request
from .quota import FACTOR, Cost, cost, visitor_of
from .zerogpu_errors import explain

log = logging.getLogger(__name__)
_ready: set[tuple[str, str]] = set()  # (model, device) loaded before the first worker was forked


def gpu(make: Callable[..., Events]) -> Callable[..., Events]:
    """The same comparison on a lent card; unchanged outside ZeroGPU.

    Args:
        make: As `bwcache.runs.compare.make_comparison`, which is handed the uncached run:
            `remembering` gives it a memory, in this process.

    What it returns takes the same arguments and yields the same events. Its `ConfigError`s and
    `ModelError`s arrive as `ModelError`s, and so does what ZeroGPU refuses, as a sentence with
    what to do.
    """
    if not on_zerogpu():
        return make
    import spaces

    on_card = spaces.GPU(duration=duration)(in_worker(make))

    def on_lent_card(
        request: Request,
        baseline: RunFinished | None = None,
        device: str | None = None,
        **options: object,
    ) -> Events:
        yield from _fetched(request, device or "cuda")
        refused = None
        try:
            with closing(on_card(request, baseline, device, **options)) as events:
                for event in events:
                    if isinstance(event, Refused):
                        refused = event
                        continue
                    if isinstance(event, ComparisonFinished):
                        learn(event)
                    yield event
        except (ConfigError, ModelError):
            raise
        except Exception as error:
            if (text := explain(error)) is None:
                raise
            raise ModelError(text) from error
        if refused is not None:
            raise ModelError(refused.text)

    return on_lent_card


def _fetched(request: Request, device: str) -> Iterator[Loading]:
    """Bring the model's files here before a card is asked for: its seconds are the visitor's."""
    spec = models.find(request.model)
    if request.random_weights or not spec.weights.on_hub:
        return
    if fit_here(spec, this_machine(device)).offload is not None:  # else the worker says why
        yield from fetch(spec)


@dataclass(frozen=True)
class Refused:
    """Ends a worker's events in the place of an exception, of which only the class would arrive."""

    text: str


def in_worker(make: Callable[..., Events]) -> Callable[..., Iterator[Event | Refused]]:
    """The part of a comparison that runs in the worker: gates cleared at entry and exit."""

    def work(
        request: Request,
        baseline: RunFinished | None = None,
        device: str | None = None,
        **options: object,
    ) -> Iterator[Event | Refused]:
        from ..cache.install import remove_leftovers

        remove_leftovers()
        try:
            with closing(make(request, baseline, device, **options)) as events:
                yield from events
        except (ConfigError, ModelError) as error:
            yield Refused(str(error))
        finally:
            remove_leftovers()

    return work


# -- how long --------------------------------------------------------------------------------------


def duration(
    request: Request,
    baseline: RunFinished | None = None,
    device: str | None = None,
    **options: object,
) -> int:
    """Seconds to ask for; called by `spaces` with the arguments of the comparison itself."""
    from gradio.context import LocalContext

    return _cost(request, baseline, LocalContext.request.get(None), device).seconds


def price(
    request: Request,
    store: BaselineStore | None = None,
    asking: object = None,
    device: str | None = None,
) -> Cost:
    """What a comparison will cost the visitor who asks.

    Args:
        request: What is to be made.
        store: Where the visitor's uncached runs are remembered.
        asking: Gradio's `Request`, which tells who asks.
        device: Where it will run; "cuda" where None.
    """
    baseline = store.get(request) if store is not None else None
    return _cost(request, baseline, asking, device)


def _cost(
    request: Request, baseline: RunFinished | None, asking: object, device: str | None
) -> Cost:
    return cost(
        request,
        visitor_of(asking),
        baseline,
        device=device or "cuda",
        factor=factor(),
        ready=(request.model, device or "cuda") in _ready and not request.random_weights,
    )


def factor() -> float:
    """Quota seconds for a second of the card that this Space is lent."""
    if not on_zerogpu():
        return FACTOR
    from spaces import zero
    from spaces.zero.config import get_config

    # weights too large for half a card silently take a whole one, at twice the quota
    return 2.0 if zero.default_gpu_size() == "xlarge" else get_config()["duration_factor"]


def preload(names: Iterable[str] | None = None, device: str = "cuda") -> None:
    """Load models before the first worker is forked, so that every worker has them.

    Args:
        names: Of the catalogue; the model that a visitor finds chosen, and TinyWorld, where None.
        device: Where they are to run.

    A model that cannot be loaded is logged, and loaded in the worker when it is asked for. Does
    nothing outside ZeroGPU.
    """
    if not on_zerogpu():
        return
    for name in dict.fromkeys(_defaults(device) if names is None else names):
        try:
            load(name, device)
            _ready.add((name, device))
        except Exception:
            log.exception("%s could not be loaded before the first comparison", name)


def _defaults(device: str) -> tuple[str, str]:
    return "tinyworld", default(this_machine(device)).name
