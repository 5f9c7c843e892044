"""What programs may call: `/compare` and `/predict`, typed, for `gradio_client` and MCP.

The same checks and the same one place at the model as the page; everything else is private.
Gradio reads types and texts off the two inner functions, so their hints are no mere strings here.
"""

from collections.abc import Callable
from typing import Any, Literal, TypedDict

import gradio as gr

from ..cache.methods.bwcache import BWCacheConfig, Gate, Reuse
from ..errors import ConfigError, TraceError
from ..runs.request import Request
from .calls import Calls, forecast, refusal
from .finder import MODEL_QUEUE
from .handlers import Compare
from .host import Host
from .sessions import Store

DEFAULTS = BWCacheConfig()


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


def session_of(request: gr.Request) -> str | None:
    """Whose call this is; nobody's over MCP, where all callers come through one client."""
    return None if request.headers.get("x-gradio-user") == "mcp" else request.session_hash


def add_api(
    page: gr.Blocks,
    compare: Compare,
    new_store: Callable[[], Store],
    host: Host,
) -> None:
    """Put the two endpoints on the page; call it where the page is laid out.

    Args:
        page: The page.
        compare: As `bwcache.runs.compare.compare`.
        new_store: Makes a caller's memory of uncached runs.
        host: Where the page is served.
    """
    calls = Calls(compare, new_store, host)
    gr.api(_compare_endpoint(calls), api_name="compare", concurrency_id=MODEL_QUEUE)
    gr.api(predict, api_name="predict", queue=False)

    def on_leave(request: gr.Request):
        calls.forget(request.session_hash)

    page.unload(on_leave)


def _compare_endpoint(calls: Calls) -> Callable:
    # Gradio takes what a generator yields for what its hint says it returns.
    def compare(
        request: gr.Request,
        prompt: str,
        model: str = Request.model,
        threshold: float | None = None,
        reuse_interval: str | None = None,
        steps: int | None = None,
        seed: int = 0,
        reuse: Reuse = DEFAULTS.reuse,
        gate: Gate = DEFAULTS.gate,
        control: bool = False,
        image: str | None = None,
    ) -> Comparison:
        """Make a video twice with a diffusion model, uncached and with BWCache, and measure what
        caching saved and how far the two videos differ. Takes seconds with tinyworld on a CPU,
        minutes with large models; calls wait for their turn.

        Args:
            prompt: What the video shows, such as "a red circle moving right on a white background".
            model: Catalogue name; tinyworld runs anywhere.
            threshold: Caching starts below it; higher saves more. The model's own if left out.
            reuse_interval: Steps reused after a computed one, "2", or a share of all, "0.1".
            steps: Denoising steps, 2 to 200; the model's usual number if left out.
            seed: Of the noise, from 0; the same seed gives the same video.
            reuse: What is replayed: the block stack's residual, its output, or a forecast of it.
            gate: "once" keeps a fixed pattern; "recheck" measures again at each computed step.
            control: Whether to make a third video, uncached, with as few steps as were computed.
            image: A picture to start from, for models that take one: PNG, JPEG or WebP in base64.

        Returns:
            The verdict in a sentence, a summary of all numbers, the videos, and the trace.
        """
        yield from calls.compare(
            session_of(request),
            prompt=prompt,
            model=model,
            threshold=threshold,
            reuse_interval=reuse_interval,
            steps=steps,
            seed=seed,
            reuse=reuse,
            gate=gate,
            control=control,
            image=image,
        )

    return compare


def predict(
    trace: dict | str,
    threshold: float,
    reuse_interval: str = str(DEFAULTS.reuse_interval),
    gate: Gate = DEFAULTS.gate,
    reuse: Reuse = DEFAULTS.reuse,
    tail_fraction: float = DEFAULTS.tail_fraction,
) -> Forecast:
    """Say which steps a recorded run would have reused at another threshold, and how long it would
    have taken, without running the model: exact for gate "once", an estimate for "recheck".

    Args:
        trace: The content of the trace.json that compare made, as an object or as its text.
        threshold: The one to try, from 0.
        reuse_interval: Steps reused after a computed one, "2", or a share of all steps, "0.1".
        gate: "once" keeps a fixed pattern; "recheck" measures again at each computed step.
        reuse: What would be replayed; it changes neither schedule nor time.
        tail_fraction: From 0 to 1; the last steps, this share of the trigger step, are computed.

    Returns:
        Each step's action, the trigger step, the steps reused, the seconds, whether it is exact.
    """
    try:
        return forecast(trace, threshold, reuse_interval, gate, reuse, tail_fraction)
    except (ConfigError, TraceError) as error:
        raise refusal(error) from None
