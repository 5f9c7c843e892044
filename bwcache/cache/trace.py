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
from ..files import finite, parse_json, read_text
from .letters import Action, action_of

FORMAT, VERSION = "bwcache-trace", 2
READABLE = (1, 2)
MOST_TRACE_BYTES = 2**26
MOST = 100_000  # steps, or blocks
LONGEST_VERSION = 20  # characters, of the weights
FEW_STEPS = 12  # below so many there is little that caching could leave out
EARLY = 0.1  # a trigger within this share of the steps, where the picture's layout is decided
WARNINGS = {
    "few_steps": "With {steps} steps there is little to skip: caching pays from about {few} "
    "(docs/troubleshooting.md#few-steps).",
    "early": "Reuse began with step {step} of {steps}, where the picture's layout is still being "
    "decided: take a lower threshold, or warm_up_steps (docs/troubleshooting.md#early-trigger).",
    "noise": "The scheduler adds noise at each step: two runs are alike only where its generator "
    "starts alike (docs/troubleshooting.md#noise).",
}


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
        compute_share: Of the step's block evaluations, over all branches, how many ran, 0 to 1;
            where a method works inside blocks, or on some chunks of frames, of its attentions' and
            MLPs' operations.
        numbers: What the method's own probes measured, a number a block or a chunk of frames;
            not the distances.
        expert: Which of the run's transformers made it: 0, or 1 for Wan 2.2's second.
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
    expert: int = 0

    @property
    def net_seconds(self) -> float:
        """Seconds without the measurement: what the step costs a run that does not measure."""
        return max(0.0, self.seconds - self.indicator_seconds)


@dataclass(frozen=True)
class ExpertRecord:
    """One of the two transformers that take turns in a run; each decides by its own steps.

    Args:
        expert: 0, or 1 for the second.
        first_step: The step with which it began.
        num_blocks: N, its blocks.
        method: Its method's name.
        config: Its settings.
        state: What its method remembers, such as BWCache's `trigger_step`.
    """

    expert: int
    first_step: int
    num_blocks: int
    method: str
    config: Mapping[str, object] = field(default_factory=dict)
    state: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Trace:
    """One run of a pipeline, step by step.

    Args:
        num_steps: T, the scheduler's real number of denoising steps.
        num_blocks: N, the transformer blocks of one call.
        config: The method's settings as a dict.
        steps: The steps in the order they ran; fewer than `num_steps` if the run was stopped.
        state: What the method remembers after the last step, such as BWCache's `trigger_step`;
            with two experts that of the first which triggered.
        method: The method's name.
        experts: The transformers that took turns, in that order; empty where there was one.
        adds_noise: Whether the scheduler drew noise of its own in the first step, which two runs
            share only where its generator starts alike.
        noise: The share of noise at each step, see `RunFacts.noise`; empty where it could not be
            told, None where it was not recorded.
        branches: How often a step calls the transformer, once for each guidance branch that is
            not in a batch with the others; None where it was not recorded.
    """

    num_steps: int
    num_blocks: int
    config: Mapping[str, object] = field(default_factory=dict)
    steps: tuple[StepRecord, ...] = ()
    state: Mapping[str, object] = field(default_factory=dict)
    method: str = "bwcache"
    experts: tuple[ExpertRecord, ...] = ()
    adds_noise: bool = False
    noise: tuple[float, ...] | None = None
    branches: int | None = None

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

    @property
    def letters(self) -> str:
        """The schedule, a letter a step: C computed, r reused, p in part."""
        return "".join({"compute": "C", "reuse": "r", "partial": "p"}[a] for a in self.schedule)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What whoever reads this run should know of it, a sentence each."""
        return tuple(WARNINGS[name].format(**facts) for name, facts in self.concerns())

    def concerns(self) -> list[tuple[str, dict[str, int]]]:
        """The names of the run's warnings (those of `WARNINGS`), with the numbers in them."""
        found: list[tuple[str, dict[str, int]]] = []
        reused = next((s.step_index for s in self.steps if s.action != "compute"), None)
        if self.num_steps < FEW_STEPS:
            found.append(("few_steps", {"steps": self.num_steps, "few": FEW_STEPS}))
        elif reused is not None and reused - 1 < EARLY * self.num_steps:
            found.append(("early", {"step": reused + 1, "steps": self.num_steps}))
        if self.adds_noise:
            found.append(("noise", {}))
        return found

    def __str__(self) -> str:
        """A table for people."""
        return table(self)

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
            tuple(
                _read_expert(each, f"{where}.experts[{i}]")
                for i, each in enumerate(_list(data.get("experts", []), f"{where}.experts"))
            ),
            data.get("adds_noise", False) is True,
            _numbers(data.get("noise"), f"{where}.noise"),
            None if data.get("branches") is None else _count(data, "branches", where),
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
        weights: Version of the model's weights, as in the catalogue.
        control_kind: Which uncached run of as much work was made beside them; None where none was.
    """

    model: str
    prompt: str
    seed: int
    baseline: Trace
    cached: Trace | None = None
    weights: str = "1"
    control_kind: str | None = None

    def dumps(self) -> str:
        content = {"format": FORMAT, "version": VERSION, **asdict(self)}
        if self.control_kind is None:
            del content["control_kind"]
        return json.dumps(finite(content), indent=1, allow_nan=False)

    @classmethod
    def loads(cls, text: str) -> TraceFile:
        """Read a trace file's text.

        Raises:
            TraceError: It is not JSON, not a trace file, of another version, or damaged.
        """
        try:
            data = _object(parse_json(text), "trace file")
        except TraceError:
            raise
        except ValueError as error:
            raise TraceError(f"trace file: not valid JSON ({error})") from None
        version = data.get("version")
        if data.get("format") != FORMAT or version not in READABLE or isinstance(version, bool):
            found = f"{data.get('format')!r} version {version!r}"
            needed = f"{FORMAT!r} version {' or '.join(map(str, READABLE))}"
            raise TraceError(f"trace file: found {found}, needs {needed}")
        for name, kind in (("model", str), ("prompt", str), ("seed", int)):
            if not isinstance(data.get(name), kind):
                raise TraceError(f"trace file: {name} is missing or not of type {kind.__name__}")
        cached, weights = data.get("cached"), data.get("weights", "1")
        if not isinstance(weights, str) or len(weights) > LONGEST_VERSION:
            raise TraceError("trace file: weights is no short text")
        control = data.get("control_kind")
        if control is not None and (not isinstance(control, str) or len(control) > LONGEST_VERSION):
            raise TraceError("trace file: control_kind is no short text")
        return cls(
            data["model"],
            data["prompt"],
            data["seed"],
            Trace.from_dict(data.get("baseline"), "baseline"),
            None if cached is None else Trace.from_dict(cached, "cached"),
            weights,
            control,
        )

    @classmethod
    def load(cls, path: str | Path) -> TraceFile:
        """Read a trace file.

        Raises:
            TraceError: It cannot be read, or see `loads`.
        """
        try:
            return cls.loads(read_text(Path(path), MOST_TRACE_BYTES))
        except (OSError, UnicodeDecodeError) as error:
            raise TraceError(f"trace file {str(path)!r}: cannot be read ({error})") from None


def table(trace: Trace) -> str:
    """A run for people: one line that sums it up, one a step, and what to know of it."""
    saved = f"{trace.steps_reused} reused" + (
        f", {trace.schedule.count('partial')} in part" if "partial" in trace.schedule else ""
    )
    found = trace.indicator_range()
    lines = [
        f"{trace.method}: {len(trace.steps)} of {trace.num_steps} steps, {saved}, "
        f"{trace.seconds:.2f} s, {trace.num_blocks} blocks",
        f"schedule   {trace.letters}",
        "indicator  " + (f"{found[0]:.4g} to {found[1]:.4g}" if found else "not measured"),
    ]
    if trace.trigger_step is not None:
        lines.append(f"trigger    step {trace.trigger_step}")
    if "calibration" in trace.state:
        lines.append(f"numbers    {trace.state['calibration']}")
    for each in trace.experts:
        trigger = each.state.get("trigger_step")
        said = "" if trigger is None else f", triggered at step {trigger}"
        lines.append(f"expert {each.expert}   from step {each.first_step}{said}")
    lines += ["", f"{'step':>4}  {'':9} {'indicator':>9} {'seconds':>8}  why"]
    for step in trace.steps:
        number = "" if step.indicator is None else f"{step.indicator:.4g}"
        lines.append(
            f"{step.step_index:>4}  {step.action:9} {number:>9} {step.seconds:>8.3f}  {step.reason}"
        )
    return "\n".join([*lines, *trace.warnings])


def _object(data: object, where: str) -> dict:
    if not isinstance(data, dict):
        raise TraceError(f"{where}: an object is needed, found {type(data).__name__}")
    return data


def _list(data: object, where: str) -> list:
    if not isinstance(data, list | tuple):
        raise TraceError(f"{where}: a list is needed, found {type(data).__name__}")
    return list(data)


def _read_expert(data: object, where: str) -> ExpertRecord:
    data = _object(data, where)
    known = {f.name for f in fields(ExpertRecord)}
    if unknown := sorted(set(data) - known):
        raise TraceError(f"{where}: unknown field {unknown[0]!r}")
    for name in ("expert", "first_step"):
        _from_zero(data, name, where)
    if not isinstance(data.get("method"), str):
        raise TraceError(f"{where}.method: a text is needed, found {data.get('method')!r}")
    return ExpertRecord(
        data["expert"],
        data["first_step"],
        _count(data, "num_blocks", where),
        data["method"],
        _object(data.get("config", {}), f"{where}.config"),
        _object(data.get("state", {}), f"{where}.state"),
    )


def _from_zero(data: dict, name: str, where: str) -> None:
    value = data.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TraceError(f"{where}.{name}: a whole number from 0 is needed, found {value!r}")


def _count(data: dict, name: str, where: str) -> int:
    value = data.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST:
        needed = f"a whole number from 1 to {MOST}"
        raise TraceError(f"{where}.{name}: {needed} is needed, found {value!r}")
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
    in_part = action == "partial" and data.get("compute_share") != 1
    if blocks and action_of(blocks, not in_part) != action:
        raise TraceError(f"{where}.blocks: {blocks!r} is not a step whose action is {action!r}")
    distances = _numbers(data.get("distances"), f"{where}.distances")
    own = _object(data.get("numbers", {}), f"{where}.numbers")
    numbers = {name: _numbers(each, f"{where}.numbers.{name}") or () for name, each in own.items()}
    _from_zero(data, "expert", where)
    for name in ("indicator", "timestep", "compute_share"):
        _number(data.get(name, None), where, optional=True)
    for part in ("seconds", "block_seconds", "indicator_seconds"):
        _number(data.get(part, 0.0), where)
    return StepRecord(**{**data, "distances": distances, "numbers": numbers})


def _numbers(data: object, where: str) -> tuple[float, ...] | None:
    """A list of numbers; null stands for one that was not finite, and for no list at all."""
    if data is None:
        return None
    if not isinstance(data, list | tuple):
        raise TraceError(f"{where}: a list of numbers or null is needed")
    for value in data:
        _number(value, where, optional=True)
    return tuple(data)


def _number(value: object, where: str, optional: bool = False) -> None:
    known = isinstance(value, int | float) and is_number(value) and abs(value) < math.inf
    if not (optional and value is None) and not known:
        raise TraceError(f"{where}: a number is needed, found {value!r}")
