"""The seam: what a caching method is. A frozen config that decides, as a pure function.

    config  → which blocks' replays are kept, and which numbers are measured on the device
    decide  → (state, what was seen) → (the plan of a step, the next state)

A method holds formulas, thresholds and triggers. It holds no tensor, no clock and no trace: the
controller keeps those, asks the method through `ask`, and guards every method alike. Standard
library only, so that a schedule can be predicted where there is no torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, ClassVar, Literal, TypeVar

from ..errors import ConfigError, is_number

Action = Literal["compute", "reuse", "partial"]
Forecast = Literal["exact", "estimate", "none"]
Against = Literal["computed", "measured", "neighbour"]
Metric = Literal["relative_l1", "change", "size", "cosine"]
KnobKind = Literal["number", "whole", "steps", "count", "choice", "numbers"]
M = TypeVar("M", bound="Method")

FEATURES = "features"  # the probe that the trace shows as distances and indicator
NOT_FINITE = "the last measurement is not a finite number"


@dataclass(frozen=True)
class Span:
    """Blocks in calling order, as a slice of the stack: from `start` up to, not including, `stop`.

    Like a slice's, `stop` may be None for the end or negative to count from it: `Span()` is the
    whole stack, `Span(1)` all but the first block, `Span(1, -2)` all but it and the last two. So a
    span means the same where a second transformer of the run has another number of blocks.
    """

    start: int = 0
    stop: int | None = None

    def of(self, num_blocks: int) -> tuple[int, int]:
        """Its first block and the one behind its last, in a stack of so many; may be empty."""
        start, stop, _ = slice(self.start, self.stop).indices(num_blocks)
        return start, max(start, stop)


WHOLE = Span()


@dataclass(frozen=True)
class RunFacts:
    """What is known of a run when it begins.

    Args:
        num_steps: T, the scheduler's real number of denoising steps.
        num_blocks: N, the transformer blocks of one call.
        levels: The noise level at which each step begins, in the order they run; see
            `scheduler_watch.noise_levels`.
    """

    num_steps: int
    num_blocks: int
    levels: tuple[float, ...] = ()

    def singly(self) -> tuple[Span, ...]:
        """Every block as a span of its own."""
        return tuple(Span(i, i + 1) for i in range(self.num_blocks))


@dataclass(frozen=True)
class Probe:
    """A number that is measured on the device, for each of some blocks.

    Args:
        name: What the method calls it; "features" is shown as the trace's distances.
        of: "output" or "residual" (output less input) of a block's measured stream; the name of
            an argument of the block; "call_input" or "call_output", the transformer's first
            argument and what it returns (then the blocks are `(0,)`).
        blocks: Which blocks, in calling order.
        against: What it is compared with, of the same guidance branch: the last call that computed
            all of its blocks ("computed"), the last one in which all of the probe's blocks were
            measured ("measured"), or the block before it in the same call ("neighbour").
        metric: "relative_l1" is ‖now − before‖₁ / ‖before‖₁, "change" the mean of |now − before|,
            "size" the mean of |now| (nothing to compare with is needed), "cosine" the cosine.
        tokens: At most so many tokens, evenly spaced; None for all.
        first_branch: Measure the step's first call only, not every guidance branch.
    """

    name: str
    of: str
    blocks: tuple[int, ...]
    against: Against = "computed"
    metric: Metric = "relative_l1"
    tokens: int | None = 128
    first_branch: bool = False


@dataclass(frozen=True)
class Seen:
    """What a method is asked with.

    Args:
        step: The 0-based step about to run, or running.
        block: None before the step's first call; n before block n of that call, where the last
            plan said `until=n`.
        numbers: What the probes measured since the last question: for each probe one number a
            block, in the order of its blocks; the mean over guidance branches, but within a step
            those of its first call. A probe is missing that measured nothing, had nothing to
            compare with, some of whose blocks were replayed, or that met a number that is not
            finite.
    """

    step: int
    block: int | None
    numbers: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Plan:
    """What a step does.

    Args:
        reused: Spans that are replayed, of those that are kept; all other blocks run.
        until: The plan holds up to this block, before which the method is asked again; None where
            it holds for the step. Before it every block runs.
        reason: Why, in a few words.
    """

    reused: tuple[Span, ...] = ()
    until: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class Knob:
    """One setting of a method, described once: what forms, options, links and docs are made of.

    Args:
        name: The config's field.
        kind: "number" (finite float), "whole", "steps" (an int counts steps, a float in (0, 1) is
            a share of all), "count" (a whole number from 1, or None for all), "choice", "numbers"
            (a tuple of finite floats).
        default: Its default.
        title: A few words.
        everybody: One line for everybody.
        expert: One line for experts, with symbol and source.
        low, high: Bounds of numbers, both allowed.
        choices: Value and title of each choice.
        basic: Whether it stands in sight; the others are for experts.
    """

    name: str
    kind: KnobKind
    default: Any
    title: str
    everybody: str
    expert: str
    low: float = 0
    high: float = math.inf
    choices: tuple[tuple[str, str], ...] = ()
    basic: bool = False

    @property
    def allowed(self) -> str:
        """What may be given, in words."""
        if self.kind == "choice":
            return " or ".join(repr(value) for value, _ in self.choices)
        if self.kind == "steps":
            return "a whole number of steps from 1, or a share of the steps between 0 and 1"
        if self.kind == "count":
            return "a whole number from 1, or None for all"
        if self.kind == "numbers":
            return "a list of finite numbers"
        what = "a whole number" if self.kind == "whole" else "a number"
        if self.high < math.inf:
            return f"{what} from {self.low:g} to {self.high:g}"
        if self.kind == "whole":
            return f"{what} from {self.low:g}"
        return f"a finite number of at least {self.low:g}"

    def check(self, value: object) -> None:
        """Refuse a value that is not allowed.

        Raises:
            ConfigError: Naming the field, what was given and what is allowed.
        """
        if not self._allows(value):
            raise ConfigError(self.name, value, self.allowed)

    def _allows(self, value: object) -> bool:
        whole = isinstance(value, int) and not isinstance(value, bool)
        match self.kind:
            case "choice":
                return isinstance(value, str) and value in dict(self.choices)
            case "steps":
                return (whole and value >= 1) or (isinstance(value, float) and 0 < value < 1)
            case "count":
                return value is None or (whole and value >= 1)
            case "numbers":
                return isinstance(value, tuple) and all(
                    is_number(each) and math.isfinite(each) for each in value
                )
            case "whole":
                return whole and self.low <= value <= self.high
        return is_number(value) and math.isfinite(value) and self.low <= value <= self.high

    def read(self, text: str) -> Any:
        """The value that a text stands for, checked: "3", "0.1", "all", "1.0,1.02".

        Raises:
            ConfigError: It stands for none that is allowed.
        """
        value: object = text
        try:
            match self.kind:
                case "number":
                    value = float(text)
                case "whole":
                    value = int(text)
                case "steps":
                    value = int(text) if text.strip().lstrip("+-").isdigit() else float(text)
                case "count":
                    value = None if text.strip() == "all" else int(text)
                case "numbers":
                    value = tuple(float(part) for part in text.split(","))
        except ValueError:
            raise ConfigError(self.name, text, self.allowed) from None
        self.check(value)
        return value


def knob(
    default: Any,
    kind: KnobKind,
    title: str,
    everybody: str,
    expert: str,
    *,
    low: float = 0,
    high: float = math.inf,
    choices: Sequence[tuple[str, str]] = (),
    basic: bool = False,
) -> Any:
    """A dataclass field that carries its description; see `Knob` for the arguments."""
    about = Knob("", kind, default, title, everybody, expert, low, high, tuple(choices), basic)
    return field(default=default, metadata={"knob": about})


@dataclass(frozen=True)
class Method:
    """A caching method: subclass it as a frozen dataclass whose fields are `knob(…)`s.

    Class attributes:
        name: As in `--method`, links and files.
        title: As people read it.
        about: One sentence.
        source: Where it is from.
        calibrated: Settings that have to be measured on a model first.
    """

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""
    about: ClassVar[str] = ""
    source: ClassVar[str] = ""
    calibrated: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for each in self.knobs():
            each.check(getattr(self, each.name))

    @classmethod
    def knobs(cls) -> tuple[Knob, ...]:
        """The settings, in the order of the fields."""
        described = [one for one in fields(cls) if "knob" in one.metadata]
        return tuple(replace(one.metadata["knob"], name=one.name) for one in described)

    @classmethod
    def knob(cls, name: str) -> Knob:
        """The setting of that name."""
        return next(each for each in cls.knobs() if each.name == name)

    def as_dict(self) -> dict[str, Any]:
        """The settings, ready for JSON."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls: type[M], data: object) -> M:
        """The config that a file describes; unknown settings are refused.

        Raises:
            ConfigError: Something is missing, unknown or not allowed.
        """
        if not isinstance(data, dict):
            raise ConfigError("config", data, "an object of settings")
        own = {one.name: one for one in fields(cls)}
        for name in data:
            if name not in own:
                raise ConfigError("config", name, f"one of {', '.join(own)}")
        for name, one in own.items():
            if name not in data and one.default is MISSING and one.default_factory is MISSING:
                raise ConfigError("config", data, f"an object with {name}")
        lists = {name: tuple(v) if isinstance(v, list) else v for name, v in data.items()}
        return cls(**lists)

    # -- what a method says of a run; override what differs -------------------------------------

    @property
    def title_here(self) -> str:
        """The title, with what these settings make of it."""
        return self.title

    @property
    def only_measures(self) -> bool:
        """Whether these settings never reuse anything."""
        return False

    @property
    def forecast(self) -> Forecast:
        """What an uncached run's trace tells of the schedule that these settings would give."""
        return "none"

    @property
    def replay(self) -> str:
        """How a reused span's output is made: a name of `bwcache.cache.replay.REPLAYS`."""
        return "residual"

    def probes(self, run: RunFacts) -> tuple[Probe, ...]:
        """What is measured."""
        return ()

    def kept(self, run: RunFacts) -> tuple[Span, ...]:
        """The spans whose replay is kept; they decide the memory."""
        return (WHOLE,)

    def begin(self, run: RunFacts) -> Any:
        """The state before step 0; any immutable value."""
        raise NotImplementedError(f"{type(self).__name__}.begin")

    def decide(self, state: Any, seen: Seen) -> tuple[Plan, Any]:
        """The plan of a step, and the state to be asked with next. Pure.

        Args:
            state: What the last question gave, or `begin`.
            seen: See there.
        """
        raise NotImplementedError(f"{type(self).__name__}.decide")

    def facts(self, state: Any) -> dict[str, Any]:
        """What the trace tells of the state, such as BWCache's trigger step; ready for JSON."""
        return {}


@dataclass(frozen=True)
class Asked:
    """A method in the course of a run: its state, and whether its last numbers could be used."""

    method: Method
    state: Any
    healthy: bool = True


def start(method: Method, run: RunFacts) -> Asked:
    """A method before step 0 of a run."""
    return Asked(method, method.begin(run))


def ask(
    asked: Asked, step: int, block: int | None, numbers: Mapping[str, Sequence[float]]
) -> tuple[Plan, Asked]:
    """Ask a method for a plan: the one way to, live and in predictions, so that all are guarded.

    Numbers that are not finite never start or continue reuse: they are kept from the method, and
    everything is computed until finite ones have been measured.

    Args:
        asked: The method as the last question left it.
        step, block: See `Seen`.
        numbers: What was measured since, not finite ones included.
    """
    bad = {n for n, values in numbers.items() if not all(map(math.isfinite, values))}
    healthy = (asked.healthy or bool(numbers)) and not bad
    good = {name: tuple(values) for name, values in numbers.items() if name not in bad}
    plan, state = asked.method.decide(asked.state, Seen(step, block, good))
    if not healthy:
        plan = Plan((), plan.until, NOT_FINITE)
    return plan, Asked(asked.method, state, healthy)


def letters(plan: Plan, num_blocks: int) -> str:
    """The blocks of a step in calling order: "C" for one that runs, "r" for one replayed."""
    reused = {i for span in plan.reused for i in range(*span.of(num_blocks))}
    return "".join("r" if i in reused else "C" for i in range(num_blocks))


# of a whole step, wherever a schedule is shown or sent
LETTERS: Mapping[Action, Literal["C", "r", "p"]] = MappingProxyType(
    {"compute": "C", "reuse": "r", "partial": "p"}
)


def action_of(blocks: str) -> Action:
    """What a step does, from its blocks' letters."""
    if "r" not in blocks:
        return "compute"
    return "partial" if "C" in blocks else "reuse"
