"""What programs may call: `/compare` and `/predict`, typed, for `gradio_client` and MCP.

Their parameters, types, defaults and texts are made of the form's description. The same checks and
the same one place at the model as the page; everything else is private.
"""

from __future__ import annotations

import base64
import inspect
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, TypedDict

import gradio as gr

from .. import models
from ..cache.knob import Knob
from ..cache.methods import METHODS, find_method
from ..cache.predict import predict, settings_of_cached_run
from ..cache.trace import TraceFile
from ..errors import ConfigError, TraceError
from ..files import finite
from ..models import start_picture as picture
from ..models.progress import Loading
from ..runs.baselines import Compare
from ..runs.consume import Consumer, consume
from ..runs.events import ComparisonFinished, RunStarted, StepDone
from ..runs.request import Request
from ..runs.result_files import save
from . import form
from .events import MODEL_QUEUE
from .handlers import checked, guarded
from .host import Host
from .languages import ENGLISH, say
from .sessions import Visitors

SESSIONS = 4  # programs whose uncached runs are remembered at once, apart from the page's visitors
TRACE_LIMIT = 4 * 2**20  # characters
LONGEST_PICTURE = 4 * (picture.MAX_BYTES // 3 + 1)  # characters of base64
# Calls by position count on this order; what is not named here comes behind.
COMPARE_ORDER = (
    "prompt",
    "model",
    "threshold",
    "reuse_interval",
    "steps",
    "seed",
    "reuse",
    "gate",
    "control",
    "image",
)
PREDICT_ORDER = ("trace", "threshold", "reuse_interval", "gate", "reuse", "tail_fraction")
COMPARE_ABOUT = """Make a video twice with a diffusion model, uncached and with a caching method,
and measure what caching saved and how far the two videos differ. Takes seconds with tinyworld on a
CPU, minutes with large models; calls wait for their turn."""
PREDICT_ABOUT = """Say which steps a recorded run would have reused at another threshold, and how
long it would have taken, without running the model: exact or an estimate, as the answer says.
Settings that are left out are those of the trace's cached run; `from_trace` names them."""


class FileMeta(TypedDict):
    """Tells clients that this is a file for them to fetch."""

    _type: Literal["gradio.FileData"]


class File(TypedDict):
    """A file that the client downloads."""

    path: str
    meta: FileMeta


class Comparison(TypedDict):
    """What `/compare` gives: the verdict, `summary.json`, and the files; no control, no file."""

    verdict: str
    summary: dict[str, Any]
    baseline: File
    cached: File
    control: File | None
    difference: File
    trace: File


class Forecast(TypedDict):
    """What `/predict` gives, as `python -m bwcache predict --json`."""

    schedule: list[str]
    trigger_step: int | None
    steps_reused: int
    predicted_seconds: float | None
    exact: bool
    compute_share: float
    config: dict[str, Any]
    from_trace: list[str]
    model: str
    weights: str
    note: str | None  # that today's weights of the model are others


Endpoint = Literal["compare", "predict"]
FILES = ("baseline", "cached", "control", "difference", "trace")


# -- /compare ----------------------------------------------------------------------------------


class Calls:
    """What `/compare` does.

    Args:
        compare: As `bwcache.runs.compare.compare`.
        host: Where the page is served.
        publish: Copies a file to where clients may fetch it; returns its new path.
    """

    def __init__(self, compare: Compare, host: Host, publish: Callable[[Path], str]):
        self._compare, self._host, self._publish = compare, host, publish
        self._visitors = Visitors(SESSIONS)

    def compare(self, session: str | None, given: form.Given) -> Iterator[Mapping[str, object]]:
        """Yields what is being done, then a `Comparison`. Closing it closes the comparison.

        Args:
            session: Whose uncached runs are remembered; None remembers nothing.
            given: Values by field; those that are None or missing are the model's own.
        """
        request = checked(lambda: self._host.read(completed(given)))
        events = self._compare(request, self._visitors.store(session), self._host.device)
        failed = say(ENGLISH)("page.failed")
        yield from guarded(consume(events, Updates(self._publish)), failed, "a comparison")

    def forget(self, session: str | None) -> None:
        """Let go of a caller's uncached runs."""
        self._visitors.forget(session)


class Updates(Consumer[Mapping[str, object]]):
    """What a caller hears of a comparison, and its result at last.

    Args:
        publish: As of `Calls`.
    """

    def __init__(self, publish: Callable[[Path], str]):
        self._publish = publish
        self._steps: dict[str, int] = {}

    def loading(self, event: Loading) -> Iterator[Mapping[str, object]]:
        yield {"stage": event.stage, "done": event.done, "total": event.total}

    def run_started(self, event: RunStarted) -> Iterable[Mapping[str, object]]:
        self._steps[event.run] = event.num_steps
        return ()

    def step(self, event: StepDone, elapsed: float) -> Iterator[Mapping[str, object]]:
        yield {
            "stage": event.run,
            "done": event.record.step_index + 1,
            "total": self._steps[event.run],
        }

    def finished(self, event: ComparisonFinished) -> Iterator[Mapping[str, object]]:
        with tempfile.TemporaryDirectory(prefix="bwcache-") as folder:
            written = save(event, Path(folder))
            files = {name: self._publish(path) for name, path in written.items() if name in FILES}
        yield {
            "verdict": event.summary.verdict,
            "summary": finite(event.summary.as_dict()),
            **{name: _file(files[name]) if name in files else None for name in FILES},
        }


def _file(path: str) -> dict[str, object]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def completed(given: form.Given) -> form.Given:
    """What a program gave as the form has it: without what was left out, the picture as bytes.

    A preset is taken whole or not at all: beside a basic setting that is given, such as the
    threshold, the others are the method's own, not the model's.

    Raises:
        ConfigError: A setting of another method is given, or the picture is no base64 text.
    """
    found = own_settings(given, "compare")
    if "image" in found:
        models.check_image(models.find(found.get("model", Request.model)), found["image"])
        found["image"] = _picture(found["image"])
    method = find_method(found.get("method", form.DEFAULT_METHOD))
    presets = {knob.name: knob for knob in method.knobs() if knob.kind in form.PRESET_KINDS}
    if any(knob.basic and name in found for name, knob in presets.items()):
        usual = {name: form.shown(knob, knob.default) for name, knob in presets.items()}
        return {**usual, **found}
    return found


def own_settings(given: form.Given, endpoint: Endpoint) -> dict[str, object]:
    """What was given, without what was left out and the defaults of other methods' settings.

    Raises:
        ConfigError: A setting of another method is not at its default.
    """
    found = {
        name: value
        for name, value in given.items()
        if value is not None or parameter(name, endpoint).default is not None
    }
    method = find_method(found.get("method", form.DEFAULT_METHOD))
    own = {knob.name for knob in method.knobs()}
    for name in form.knobs():
        if name not in own and name in found:
            required = parameter(name, endpoint).default is inspect.Parameter.empty
            if not required and found[name] != parameter(name, endpoint).default:
                allowed = f"nothing: {method.title} has no such setting"
                raise ConfigError(name, found[name], allowed)
            del found[name]
    return found


def _picture(text: object) -> bytes:
    if isinstance(text, str | bytes) and len(text) > LONGEST_PICTURE:
        raise ConfigError("image", f"{len(text)} characters", picture.ALLOWED)
    try:
        return base64.b64decode(text, validate=True)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ConfigError("image", "no base64 text", picture.ALLOWED) from None


# -- /predict ----------------------------------------------------------------------------------


def forecast(given: form.Given) -> Forecast:
    """What `/predict` gives, of a recorded run at other settings.

    Args:
        given: The `trace`, the `method` and its settings, by name.

    Raises:
        ConfigError: A setting cannot be used.
        TraceError: The trace cannot, or is too large.
    """
    own = own_settings(given, "predict")
    method = find_method(own.get("method", form.DEFAULT_METHOD))
    knobs = [knob for knob in method.knobs() if knob.name in own]
    found = {knob.name: form.read_knob(knob, own[knob.name]) for knob in knobs}
    form.check_calibration(found, method)
    first = method.knobs()[0]
    if first.name == PREDICT_ORDER[1] and first.name not in found:
        raise ConfigError(first.name, None, first.allowed)
    text = _trace_text(given.get("trace"))
    try:
        recorded = TraceFile.loads(text)
        usual = settings_of_cached_run(recorded, method)
        config = method.from_dict({**usual, **found})
        told = {"config": config.as_dict(), "from_trace": sorted(usual.keys() - found)}
        older = models.earlier_weights(recorded.model, recorded.weights)
        told |= {"model": recorded.model, "weights": recorded.weights, "note": older}
        return finite(asdict(predict(recorded.baseline, config)) | told)  # type: ignore
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


# -- what Gradio reads of them -----------------------------------------------------------------

FIELD_TYPES: Mapping[str, Any] = {
    "text": str,
    "name": str,
    "picture": str,
    "whole": int,
    "switch": bool,
}
# the others are given as a text
KNOB_TYPES: Mapping[str, Any] = {
    "number": float,
    "whole": int,
    "numbers": list[float],
}


def parameter(name: str, endpoint: Endpoint) -> inspect.Parameter:
    """A field as a parameter: its type, and the default that stands for "left out"."""
    if name == "trace":
        return _parameter(name, dict | str, inspect.Parameter.empty)
    field = form.FIELDS[name]
    if field.kind == "setting":
        return _setting(name, form.knobs()[name], endpoint)
    kind = FIELD_TYPES.get(field.kind)
    if field.kind == "choice":
        kind = bool | Literal[field.choices]  # type: ignore[valid-type]
    if name == "method":
        kind = Literal[tuple(METHODS)]
    if field.required:
        return _parameter(name, kind, inspect.Parameter.empty)
    return _parameter(name, kind if field.default is not None else kind | None, field.default)


def _setting(name: str, owners: Mapping[str, Knob], endpoint: Endpoint) -> inspect.Parameter:
    """What is left out is the model's own in a comparison, the trace's own in a prediction."""
    knob = next(iter(owners.values()))
    if knob.kind == "choice":
        kind: Any = Literal[tuple(value for value, _ in knob.choices)]
        if endpoint == "predict":
            return _parameter(name, kind | None, None)
        return _parameter(name, kind, knob.default)
    return _parameter(name, KNOB_TYPES.get(knob.kind, str) | None, None)


def _parameter(name: str, kind: Any, default: object) -> inspect.Parameter:
    of = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Parameter(name, of, default=default, annotation=kind)


def described(
    function: Callable, endpoint: Endpoint, names: Iterable[str], about: str, returns: Any
) -> Callable:
    """Give a function the parameters, types and text that Gradio publishes of it.

    Args:
        function: Called with Gradio's request and the values in the order of the names.
        endpoint: Its name.
        names: Of its fields.
        about: What it does.
        returns: What it gives, or yields last.
    """
    parameters = [parameter(name, endpoint) for name in names]
    asking = _parameter("request", gr.Request, inspect.Parameter.empty)
    lines = "\n".join(f"    {one.name}: {_about(one.name)}" for one in parameters)
    function.__name__ = endpoint  # a tool's name over MCP
    function.__doc__ = f"{about}\n\nArgs:\n{lines}\n\nReturns:\n    {returns.__doc__}"
    function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [asking, *parameters], return_annotation=returns
    )
    annotations = {one.name: one.annotation for one in (asking, *parameters)}
    function.__annotations__ = {**annotations, "return": returns}
    return function


def _about(name: str) -> str:
    if name == "trace":
        return "The content of the trace.json that compare made, as an object or as its text."
    return form.FIELDS[name].about


def compare_fields() -> list[str]:
    """The parameters of `/compare`, in order."""
    return list(dict.fromkeys((*COMPARE_ORDER, *form.FIELDS)))


def predict_fields() -> list[str]:
    """The parameters of `/predict`, in order."""
    return list(dict.fromkeys((*PREDICT_ORDER, "method", *form.knobs())))


def session_of(request: gr.Request) -> str | None:
    """Whose call this is; nobody's over MCP, where all callers come through one client."""
    return None if request.headers.get("x-gradio-user") == "mcp" else request.session_hash


def add_api(page: gr.Blocks, compare: Compare, host: Host, publish: Callable[[Path], str]) -> None:
    """Put the two endpoints on the page; call it where the page is laid out.

    Args:
        page: The page.
        compare: As `bwcache.runs.compare.compare`.
        host: Where the page is served.
        publish: Copies a file to where clients may fetch it; returns its new path.
    """
    calls = Calls(compare, host, publish)
    comparing, predicting = compare_fields(), predict_fields()

    # Gradio takes what a generator yields for what its hint says it returns.
    def on_compare(request, *values):
        yield from calls.compare(session_of(request), dict(zip(comparing, values, strict=True)))

    def on_predict(request, *values):
        return checked(forecast, dict(zip(predicting, values, strict=True)))

    def on_leave(request: gr.Request):
        calls.forget(request.session_hash)

    gr.api(
        described(on_compare, "compare", comparing, COMPARE_ABOUT, Comparison),
        api_name="compare",
        concurrency_id=MODEL_QUEUE,
    )
    gr.api(
        described(on_predict, "predict", predicting, PREDICT_ABOUT, Forecast),
        api_name="predict",
        queue=False,
    )
    page.unload(on_leave)
