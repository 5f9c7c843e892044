"""What the endpoints of `api.py` do: a checked comparison as a stream, and a prediction.

Knows no endpoint. A comparison's files are handed over while their folder still stands.
"""

from __future__ import annotations

import base64
import json
import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import gradio as gr

from .. import models
from ..cache.methods.bwcache import BWCacheConfig, parse_interval
from ..cache.predict import predict
from ..cache.trace import TraceFile
from ..errors import ConfigError, TraceError
from ..files import finite
from ..models import ModelError
from ..models import start_picture as picture
from ..models.progress import Loading
from ..runs.events import ComparisonFinished, Event, RunStarted, StepDone
from ..runs.request import Request
from ..runs.result_files import save
from ..runs.texts import ENGLISH
from . import form
from .handlers import Compare
from .host import Host
from .languages import TITLE, say
from .sessions import Store, Visitors

log = logging.getLogger(__name__)
SESSIONS = 4  # programs whose uncached runs are remembered at once, apart from the page's visitors
TRACE_LIMIT = 4 * 2**20  # characters
FILES = ("baseline", "cached", "control", "difference", "trace")


class Calls:
    """What `/compare` does.

    Args:
        compare: As `bwcache.runs.compare.compare`.
        new_store: Makes a caller's memory of uncached runs.
        host: Where the page is served.
    """

    def __init__(self, compare: Compare, new_store: Callable[[], Store], host: Host):
        self._compare, self._host = compare, host
        self._visitors = Visitors(new_store, SESSIONS)

    def compare(self, session: str | None, **given: object) -> Iterator[dict[str, object]]:
        """Yields what is being done, then `api.Comparison`. Closing it closes the comparison.

        Args:
            session: Whose uncached runs are remembered; None remembers nothing.
            given: As `/compare` takes them, all of them.
        """
        try:
            request = self._request(**given)
            store = self._visitors.store(session)
            with closing(self._compare(request, store, self._host.device)) as events:
                yield from _updates(events, request, store)
        except (ConfigError, ModelError) as error:
            raise refusal(error) from None
        except Exception:
            log.exception("a comparison failed")
            raise refusal(say(ENGLISH)("page.failed")) from None

    def _request(self, **given: object) -> Request:
        """The checked request, with the model's own settings where none are given."""
        offered = [spec.name for spec in self._host.specs]
        if given["model"] not in offered:
            raise ConfigError("model", given["model"], ", ".join(offered))
        if not isinstance(given["control"], bool):
            raise ConfigError("control", given["control"], "true or false")
        spec = models.find(given["model"])
        preset, interval = spec.default_preset.config, given.pop("reuse_interval")
        if interval is None:
            usual = preset if given["threshold"] is None else BWCacheConfig
            interval = usual.reuse_interval
        if given["threshold"] is None:
            given["threshold"] = preset.threshold
        if given["steps"] is None:
            given["steps"] = self._host.settings.steps(spec)
        given["interval"] = interval
        if given["image"] is not None:
            given["image"] = _picture(given["image"])
        return self._host.read(*(given[name] for name in form.FIELDS))

    def forget(self, session: str | None) -> None:
        """Let go of a caller's uncached runs."""
        self._visitors.forget(session)


def _picture(text: object) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError):
        raise ConfigError("image", "no base64 text", picture.ALLOWED) from None


def _updates(
    events: Iterator[Event], request: Request, store: Store
) -> Iterator[dict[str, object]]:
    total = request.steps
    for event in events:
        match event:
            case Loading():
                yield {"stage": event.stage, "done": event.done, "total": event.total}
            case RunStarted():
                total = event.num_steps
            case StepDone():
                yield {"stage": event.run, "done": event.record.step_index + 1, "total": total}
            case ComparisonFinished():
                with tempfile.TemporaryDirectory(prefix="bwcache-") as folder:
                    # Gradio copies the files into its cache before it goes on from here.
                    yield _comparison(event, Path(folder))


def _comparison(finished: ComparisonFinished, folder: Path) -> dict[str, object]:
    written = save(finished, folder)
    files = {name: written.get(name) for name in FILES}
    return {
        "verdict": finished.summary.verdict,
        "summary": finite(finished.summary.as_dict()),
        **{name: None if path is None else _file(path) for name, path in files.items()},
    }


def _file(path: Path) -> dict[str, object]:
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}}


def forecast(
    trace: object,
    threshold: object,
    reuse_interval: object,
    gate: object,
    reuse: object,
    tail_fraction: object,
) -> dict[str, object]:
    """What `/predict` gives, of a recorded run at other settings.

    Raises:
        ConfigError: A setting cannot be used.
        TraceError: The trace cannot, or is too large.
    """
    interval = parse_interval(str(reuse_interval).strip())
    config = BWCacheConfig(threshold, interval, tail_fraction, reuse, gate)
    try:
        recorded = TraceFile.loads(_trace_text(trace))
        return finite(asdict(predict(recorded.baseline, config)))
    except TraceError:
        raise
    except (ValueError, OverflowError) as error:  # numbers with more digits than there can be
        raise TraceError(f"trace: a number in it cannot be used ({error})") from None


def _trace_text(trace: object) -> str:
    try:
        text = json.dumps(trace) if isinstance(trace, dict) else trace
    except RecursionError:
        raise TraceError("trace: nested too deeply to be one") from None
    if not isinstance(text, str):
        found = type(trace).__name__
        raise TraceError(f"trace: the content of trace.json is needed, found {found}")
    if len(text) > TRACE_LIMIT:
        raise TraceError(f"trace: {len(text)} characters; at most {TRACE_LIMIT} are taken")
    return text


def refusal(reason: object) -> gr.Error:
    """An error that the caller gets to read, as one line."""
    return gr.Error(str(reason), title=TITLE, print_exception=False)
