"""What happened in a run, as plain records: steps, traces, and the trace file.

Frozen, tensor-free, and the same after a round trip through JSON. Standard library only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import get_args

from ..errors import TraceError, is_number
from ..files import finite
from .method import Action, action_of

FORMAT, VERSION = "bwcache-trace", 2
READABLE = (1, 2)


@dataclass(frozen=True)
class StepRecord:
    """One denoising step.

    Args:
        step_index: 0-based.
        action: "compute", "reuse", or "partial" where some blocks ran and others were replayed.
        reason: Why, in a few words.
        indicator: Mean over blocks and guidance branches of the relative L1 against the last
            computed step; None at step 0 and when reused.
        distances: The same for each measured block.
        seconds: The whole step on the clock, measurement included.
        block_seconds: The part of it spent in transformer blocks, measurement excluded.
        indicator_seconds: The part of it spent measuring.
        timestep: What the scheduler calls this step, on its 0-1000 scale.
        blocks: A letter for each block in calling order, "C" for one that ran in any guidance
            branch and "r" for one that was replayed; "" where it was not recorded.
        compute_share: Of the step's block evaluations, over all branches, how many ran, 0 to 1.
        numbers: What the method's own probes measured, a number a block; not the distances.
    """

    step_index: int
    action: Action
    reason: str
    indicator: float | None = None
    distances: tuple[float, ...] | None = None
    seconds: float = 0.0
    block_seconds: float = 0.0
    indicator_seconds: float = 0.0
    timestep: float | None = None
    blocks: str = ""
    compute_share: float | None = None
    numbers: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def net_seconds(self) -> float:
        """Seconds without the measurement: what the step costs a run that does not measure."""
        return max(0.0, self.seconds - self.indicator_seconds)


@dataclass(frozen=True)
class Trace:
    """One run of a pipeline, step by step.

    Args:
        num_steps: T, the scheduler's real number of denoising steps.
        num_blocks: N, the transformer blocks of one call.
        config: The method's settings as a dict.
        steps: The steps in the order they ran; fewer than `num_steps` if the run was stopped.
        state: What the method remembers after the last step, such as BWCache's `trigger_step`.
        method: The method's name.
    """

    num_steps: int
    num_blocks: int
    config: Mapping[str, object] = field(default_factory=dict)
    steps: tuple[StepRecord, ...] = ()
    state: Mapping[str, object] = field(default_factory=dict)
    method: str = "bwcache"

    @property
    def trigger_step(self) -> int | None:
        """k, the first step whose indicator fell below BWCache's threshold; None if none did."""
        step = self.state.get("trigger_step")
        return step if isinstance(step, int) else None

    @property
    def compute_share(self) -> float | None:
        """Of all block evaluations, how many ran, 0 to 1; None before the first step."""
        shares = [
            (step.action == "compute") * 1.0 if step.compute_share is None else step.compute_share
            for step in self.steps
        ]
        return sum(shares) / len(shares) if shares else None

    @property
    def schedule(self) -> list[Action]:
        return [step.action for step in self.steps]

    @property
    def steps_reused(self) -> int:
        return self.schedule.count("reuse")

    @property
    def steps_computed(self) -> int:
        return self.schedule.count("compute")

    @property
    def indicators(self) -> list[float | None]:
        return [step.indicator for step in self.steps]

    @property
    def seconds(self) -> float:
        """The denoising loop on the clock, measurement included."""
        return sum(step.seconds for step in self.steps)

    @property
    def net_seconds(self) -> float:
        """The denoising loop without the measurement."""
        return sum(step.net_seconds for step in self.steps)

    def indicator_range(self) -> tuple[float, float] | None:
        """Smallest and largest finite indicator; None where nothing was measured."""
        found = [x for x in self.indicators if x is not None and math.isfinite(x)]
        return (min(found), max(found)) if found else None

    def as_dict(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: object, where: str = "trace") -> Trace:
        """The trace a file describes.

        Raises:
            TraceError: A part is missing or of the wrong kind.
        """
        data = _object(data, where)
        steps = data.get("steps")
        if not isinstance(steps, list):
            raise TraceError(f"{where}.steps: a list of steps is needed")
        read = tuple(_read_step(step, i, f"{where}.steps[{i}]") for i, step in enumerate(steps))
        state = _object(data.get("state", {}), f"{where}.state")
        if data.get("trigger_step") is not None:  # where version 1 had it
            state = {**state, "trigger_step": data["trigger_step"]}
        if state.get("trigger_step") is not None:
            _count(state, "trigger_step", where)
        method = data.get("method", "bwcache")
        if not isinstance(method, str):
            raise TraceError(f"{where}.method: a text is needed, found {method!r}")
        trace = cls(
            _count(data, "num_steps", where),
            _count(data, "num_blocks", where),
            _object(data.get("config", {}), f"{where}.config"),
            read,
            state,
            method,
        )
        if len(read) > trace.num_steps:
            raise TraceError(
                f"{where}.steps: {len(read)} found, at most {trace.num_steps} possible"
            )
        return trace


@dataclass(frozen=True)
class TraceFile:
    """`trace.json`: what was asked for, and the runs made of it.

    Args:
        model: Catalogue name.
        prompt: What was asked for.
        seed: Of the initial noise.
        baseline: The uncached run, measured at every step.
        cached: The run with caching; None where there was none.
    """

    model: str
    prompt: str
    seed: int
    baseline: Trace
    cached: Trace | None = None

    def dumps(self) -> str:
        content = {"format": FORMAT, "version": VERSION, **asdict(self)}
        return json.dumps(finite(content), indent=1, allow_nan=False)

    @classmethod
    def loads(cls, text: str) -> TraceFile:
        """Read a trace file's text.

        Raises:
            TraceError: It is not JSON, not a trace file, of another version, or damaged.
        """
        try:
            data = _object(json.loads(text), "trace file")
        except (json.JSONDecodeError, RecursionError) as error:
            raise TraceError(f"trace file: not valid JSON ({error})") from None
        version = data.get("version")
        if data.get("format") != FORMAT or version not in READABLE or isinstance(version, bool):
            found = f"{data.get('format')!r} version {version!r}"
            needed = f"{FORMAT!r} version {' or '.join(map(str, READABLE))}"
            raise TraceError(f"trace file: found {found}, needs {needed}")
        for name, kind in (("model", str), ("prompt", str), ("seed", int)):
            if not isinstance(data.get(name), kind):
                raise TraceError(f"trace file: {name} is missing or not of type {kind.__name__}")
        cached = data.get("cached")
        return cls(
            data["model"],
            data["prompt"],
            data["seed"],
            Trace.from_dict(data.get("baseline"), "baseline"),
            None if cached is None else Trace.from_dict(cached, "cached"),
        )

    @classmethod
    def load(cls, path: str | Path) -> TraceFile:
        """Read a trace file.

        Raises:
            TraceError: It cannot be read, or see `loads`.
        """
        try:
            return cls.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise TraceError(f"trace file {str(path)!r}: cannot be read ({error})") from None


def _object(data: object, where: str) -> dict:
    if not isinstance(data, dict):
        raise TraceError(f"{where}: an object is needed, found {type(data).__name__}")
    return data


def _count(data: dict, name: str, where: str) -> int:
    value = data.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise TraceError(f"{where}.{name}: a whole number from 1 is needed, found {value!r}")
    return value


def _read_step(data: object, index: int, where: str) -> StepRecord:
    data = _object(data, where)
    known = {f.name for f in fields(StepRecord)}
    if unknown := sorted(set(data) - known):
        raise TraceError(f"{where}: unknown field {unknown[0]!r}")
    if data.get("step_index") != index:
        raise TraceError(f"{where}.step_index: {index} is needed, found {data.get('step_index')!r}")
    action, blocks = data.get("action"), data.get("blocks", "")
    if action not in get_args(Action) or not isinstance(data.get("reason"), str):
        raise TraceError(
            f"{where}: action must be 'compute', 'reuse' or 'partial', and reason a text"
        )
    if not isinstance(blocks, str) or set(blocks) - set("Cr"):
        raise TraceError(f"{where}.blocks: a text of C and r is needed, found {blocks!r}")
    if blocks and action_of(blocks) != action:
        raise TraceError(f"{where}.blocks: {blocks!r} is not a step whose action is {action!r}")
    distances = _numbers(data.get("distances"), f"{where}.distances")
    own = _object(data.get("numbers", {}), f"{where}.numbers")
    numbers = {name: _numbers(each, f"{where}.numbers.{name}") or () for name, each in own.items()}
    for name in ("indicator", "timestep", "compute_share"):
        _number(data.get(name, None), where, optional=True)
    for part in ("seconds", "block_seconds", "indicator_seconds"):
        _number(data.get(part, 0.0), where)
    return StepRecord(**{**data, "distances": distances, "numbers": numbers})


def _numbers(data: object, where: str) -> tuple[float, ...] | None:
    """A list of numbers; null stands for one that was not finite, and for no list at all."""
    if data is None:
        return None
    if not isinstance(data, list):
        raise TraceError(f"{where}: a list of numbers or null is needed")
    for value in data:
        _number(value, where, optional=True)
    return tuple(data)


def _number(value: object, where: str, optional: bool = False) -> None:
    if not (optional and value is None) and not is_number(value):
        raise TraceError(f"{where}: a number is needed, found {value!r}")
