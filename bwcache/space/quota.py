"""What a comparison costs of a visitor's ZeroGPU quota, before it is made. No torch.

ZeroGPU is told beforehand how many seconds a job may take. It refuses a job that asks for more than
the visitor has left, and ends one that takes longer than it asked for: so enough is asked for, and
never more than the visitor can have.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..cache.predict import predict
from ..files import parse_json
from ..models import find
from ..models.spec import ModelSpec
from ..models.timings import WARM_UP_STEPS, guessed_seconds, last_timing
from ..runs.events import RunFinished
from ..runs.request import Request

Visitor = Literal["anonymous", "signed in", "free", "pro"]
Basis = Literal["measured", "estimated"]
DAILY: Mapping[Visitor, int] = {"anonymous": 120, "signed in": 300, "free": 300, "pro": 2400}
TOKEN_HEADER = "x-ip-token"

FACTOR = 1.5  # quota seconds for one on a card of the "large" size
LEAST = 15  # seconds: hardly less than what a worker needs to begin
START = 8.0  # seconds until a worker takes up its work
READ_GB = 0.5  # of weights a second, as a worker loads a model
PACKED_GB = 4.0  # the same, where `spaces` has laid them out for it when the Space started
AROUND_STEPS = 4  # what a run does besides its steps, text and decoding, as steps of its own
MARGIN = 1.2  # for measuring, and for a card that is slower than the last one


@dataclass(frozen=True)
class Cost:
    """What a comparison asks for, and what that is of the visitor's day.

    Args:
        seconds: Of the GPU, asked for; it is given back once the comparison is complete.
        quota_seconds: What these count; the visitor must have as many left.
        daily_seconds: The visitor's quota of a day. What is left of it is not known beforehand.
        visitor: Who asks. "signed in" may be a PRO account; `daily_seconds` is a free one's.
        needed_seconds: Of the GPU, that the comparison may take.
        basis: Whether the model's seconds a step were measured or are a rough guess.
    """

    seconds: int
    quota_seconds: int
    daily_seconds: int
    visitor: Visitor
    needed_seconds: int
    basis: Basis

    @property
    def enough(self) -> bool:
        """Whether the comparison is expected to be complete in the seconds asked for."""
        return self.needed_seconds <= self.seconds


def cost(
    request: Request,
    visitor: Visitor = "anonymous",
    baseline: RunFinished | None = None,
    *,
    device: str = "cuda",
    factor: float = FACTOR,
    ready: bool = False,
) -> Cost:
    """What a comparison will cost.

    Args:
        request: What is to be made.
        visitor: Who asks for it.
        baseline: The remembered uncached run: it is not made again, and tells what a step takes.
        device: Where it will run.
        factor: Quota seconds that a second of the GPU counts.
        ready: Whether the model is loaded already.

    Raises:
        ConfigError: The model is not in the catalogue.
    """
    spec = find(request.model)
    step, around, basis = _pace(spec, device, baseline)
    if baseline is None:
        # the indicator is not known yet, so it may be that nothing is reused
        runs = [request.steps * step] * (3 if request.control else 2)
    else:
        found = predict(baseline.trace, request.config)
        control = [(request.steps - found.steps_reused) * step] if request.control else []
        runs = [found.predicted_seconds if found.exact else request.steps * step, *control]
    loading = spec.weights.total_gb / (PACKED_GB if ready else READ_GB)
    work = sum(runs) + WARM_UP_STEPS * step + (len(runs) + 1) * around
    needed = max(LEAST, math.ceil(START + loading + MARGIN * work))
    # whoever is signed in may have a PRO account's quota; a free one's is then for ZeroGPU to keep
    most = int(DAILY["pro" if visitor == "signed in" else visitor] / factor)
    seconds = min(needed, most)
    return Cost(seconds, round(seconds * factor), DAILY[visitor], visitor, needed, basis)


def _pace(spec: ModelSpec, device: str, baseline: RunFinished | None) -> tuple[float, float, Basis]:
    """Seconds of a computed step, seconds of a run beside its steps, and how they are known."""
    if baseline is not None:
        trace = baseline.trace
        around = max(0.0, baseline.total_seconds - trace.seconds)
        return trace.net_seconds / trace.num_steps, around, "measured"
    if (timing := last_timing(spec, device)) is not None:
        return timing.step_seconds, timing.around_seconds, "measured"
    step = guessed_seconds(spec)
    return step, AROUND_STEPS * step, "estimated"


def visitor_of(request: Any) -> Visitor:
    """Who is asking, as far as a Space is told.

    Args:
        request: Gradio's `Request`, or None.

    The token that Hugging Face adds to each request names the account, if there is one, but not its
    kind; the profile of a visitor who signed in on the page itself does. Neither is checked here:
    they decide what is shown and asked for, and ZeroGPU decides what is granted.
    """
    token = _claims(getattr(request, "headers", None))
    if not token.get("user") or token.get("error"):
        return "anonymous"
    try:
        profile = request.session["oauth_info"]["userinfo"]
        return "pro" if profile["isPro"] else "free"
    except (AttributeError, AssertionError, KeyError, TypeError):  # no session, or nobody in it
        return "signed in"


def _claims(headers: Any) -> Mapping[str, object]:
    try:
        _, claims, _ = headers.get(TOKEN_HEADER).split(".")
        read = parse_json(base64.urlsafe_b64decode(f"{claims}=="))
    except (AttributeError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}
