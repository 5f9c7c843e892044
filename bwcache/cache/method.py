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
Metric = Literal["relative_l1", "change", "size", "cosine", "cosine_ahead"]
Site = Literal["blocks", "modules", "call", "chunks"]
Guidance = Literal["unused", "used", "needed"]
KnobKind = Literal[
    "number", "whole", "steps", "count", "choice", "numbers", "start", "mask", "name"
]
M = TypeVar("M", bound="Method")

FEATURES = "features"  # the probe that the trace shows as distances and indicator
# of each chunk of frames (`Method.site`): by how much its tokens differ from the step before, as
# ‖now − before‖₁ / ‖before‖₁, and how many steps of its own it has begun, the first one not counted
CHUNK_CHANGE, CHUNK_MOVES = "chunk_change", "chunk_moves"
NOT_FINITE = "the last measurement is not a finite number"
NOT_CACHED = "nothing is cached for this call yet"
MASK_COMPUTE, MASK_REUSE, MASK_METHOD = "C", "R", "?"
ROUNDING = 1e-9  # forgives binary fractions: 0.1 of 30 steps is 3, 0.29 of 100 is 29


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
            `noise_levels.py`.
        first_step: The 0-based step with which this transformer begins: 0, or for the second
            expert of a run the step at which it takes over.
        model: The transformer's name in the catalogue, by which what was measured on it is found;
            "" where nobody has said it.
        parts: Where blocks' modules are gated one by one (`Method.site`), what each of them is:
            "self" or "cross" attention, or "mlp"; `num_blocks` counts modules then.
        noise: The share of noise in the latents at which each step begins, from 1 to 0, alike for
            all schedulers: sigma of flow matching, s / (α + s) of others; empty where it cannot be
            told. See `prediction.py`.
    """

    num_steps: int
    num_blocks: int
    levels: tuple[float, ...] = ()
    first_step: int = 0
    model: str = ""
    parts: tuple[str, ...] = ()
    noise: tuple[float, ...] = ()

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
            argument and what it returns, or "call_motion", how that differs from frame to frame;
            or "forecast", where calls are forecast (`Method.site`): what a computed call gave
            against the forecast of it that stood ready, in velocities ("neighbour"); or
            "guidance", where branches are estimated (`Method.guidance`): what a later branch's
            computed call gave against the estimate of it ("neighbour"). Where chunks of frames
            are reused (`Method.site`) "chunks", which gives `CHUNK_CHANGE` and `CHUNK_MOVES`, a
            number a chunk. For the call's and the chunks' the blocks are `(0,)`.
        blocks: Which blocks, in calling order.
        against: What it is compared with, of the same guidance branch: the last call that computed
            all of its blocks ("computed"), the last one in which all of the probe's blocks were
            measured ("measured"), or the block before it in the same call ("neighbour").
        metric: "relative_l1" is ‖now − before‖₁ / ‖before‖₁, "change" the mean of |now − before|,
            "size" the mean of |now| (nothing to compare with is needed), "cosine" the cosine,
            "cosine_ahead" that between now and 2 now − before, where a straight line leads.
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
        computed: Whether this step is computed whatever the plan says (see `Method`), for a
            method that counts what it has reused.
    """

    step: int
    block: int | None
    numbers: Mapping[str, tuple[float, ...]]
    computed: bool = False


@dataclass(frozen=True)
class Plan:
    """What a step does.

    Args:
        reused: Spans that are replayed, of those that are kept; all other blocks run.
        until: The plan holds up to this block, before which the method is asked again; None where
            it holds for the step. Before it every block runs.
        reason: Why, in a few words.
        estimate: Where every guidance branch but the step's first is not called but estimated, as
            the first one's output and their last difference: the weights of the difference's low
            and high spatial frequencies. None where every branch is called.
        chunks: Chunks of frames, by number, that are replayed while the blocks compute the others;
            where all are, `reused` is `WHOLE`. See `Method.site`.
    """

    reused: tuple[Span, ...] = ()
    until: int | None = None
    reason: str = ""
    estimate: tuple[float, float] | None = None
    chunks: tuple[int, ...] = ()

    @property
    def reuses(self) -> bool:
        """Whether anything is replayed or estimated."""
        return bool(self.reused or self.chunks) or self.estimate is not None


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
        if self.kind == "start":
            return "a whole number of steps from 0, or a share of the steps from 0 to below 1"
        if self.kind == "mask":
            return "a letter a step: C computes it, R reuses it, ? leaves it to the method"
        if self.kind == "count":
            return "a whole number from 1, or None for all"
        if self.kind == "numbers":
            return "a list of finite numbers"
        if self.kind == "name":
            return "a model's name in the catalogue, or a JSON file"
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

    def _allows(self, value: Any) -> bool:
        whole = isinstance(value, int) and not isinstance(value, bool)
        match self.kind:
            case "choice":
                return isinstance(value, str) and value in dict(self.choices)
            case "steps":
                return (whole and value >= 1) or (isinstance(value, float) and 0 < value < 1)
            case "start":
                return (whole and value >= 0) or (isinstance(value, float) and 0 <= value < 1)
            case "mask":
                return isinstance(value, str) and not set(value) - set("CR?")
            case "count":
                return value is None or (whole and value >= 1)
            case "name":
                return isinstance(value, str)
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
                case "steps" | "start":
                    value = int(text) if text.strip().lstrip("+-").isdigit() else float(text)
                case "mask":
                    value = text.strip().upper()
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
    by_name: bool = False,
) -> Any:
    """A dataclass field that carries its description; see `Knob` for the arguments.

    `by_name` makes it one that is given by its name only, behind a method's own in every list.
    """
    about = Knob("", kind, default, title, everybody, expert, low, high, tuple(choices), basic)
    return field(default=default, metadata={"knob": about}, kw_only=by_name)


@dataclass(frozen=True)
class Method:
    """A caching method: subclass it as a frozen dataclass whose fields are `knob(…)`s.

    Three settings are every method's. `ask` holds to them, so that no method has to:

    Args:
        warm_up_steps: So many steps at the start of the run are computed, and the method is not
            asked in them: a trigger falls behind them. An int counts steps; a float in [0, 1) is a
            share of all steps, rounded down.
        max_consecutive: So many steps in a row reuse anything at most, then one is computed; None
            for no limit.
        step_mask: A letter a step: "C" computes it, "R" reuses all that is kept of the last
            computed step, "?" leaves it to the method, as do all steps behind the last letter.
            Numbers that are not finite, and a transformer's first step, are computed all the same.

    Class attributes:
        name: As in `--method`, links and files.
        title: As people read it.
        about: One sentence.
        source: Where it is from.
        calibrated: Settings that are measured on a model, not chosen by anybody.
        needs_calibration: Whether it cannot run without them.
    """

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""
    about: ClassVar[str] = ""
    source: ClassVar[str] = ""
    calibrated: ClassVar[tuple[str, ...]] = ()
    needs_calibration: ClassVar[bool] = False

    warm_up_steps: int | float = knob(
        0,
        "start",
        "Warm-up",
        "How much of the beginning is always computed.",
        "Steps at the start, or a share of all, in which nothing is reused and nothing triggers.",
        by_name=True,
    )
    max_consecutive: int | None = knob(
        None,
        "count",
        "Longest stretch",
        "How many steps in a row may reuse anything.",
        "Consecutive steps that reuse, at most; then one is computed whatever the method says.",
        by_name=True,
    )
    step_mask: str = knob(
        "",
        "mask",
        "Step mask",
        "Which steps are computed or reused whatever is measured.",
        "A letter a step: C computes, R reuses, ? asks the method; the rest is the method's.",
        by_name=True,
    )

    def __post_init__(self) -> None:
        for each in self.knobs():
            each.check(getattr(self, each.name))

    @classmethod
    def knobs(cls) -> tuple[Knob, ...]:
        """The settings: the method's own, in the order of the fields, then every method's."""
        described = [one for one in fields(cls) if "knob" in one.metadata]
        described.sort(key=lambda one: bool(one.kw_only))
        return tuple(replace(one.metadata["knob"], name=one.name) for one in described)

    @classmethod
    def knob(cls, name: str) -> Knob:
        """The setting of that name."""
        return next(each for each in cls.knobs() if each.name == name)

    def as_dict(self) -> dict[str, Any]:
        """The settings, ready for JSON."""
        given = asdict(self)
        order = [one.name for one in sorted(fields(self), key=lambda one: bool(one.kw_only))]
        return {
            name: list(given[name]) if isinstance(given[name], tuple) else given[name]
            for name in order
        }

    @classmethod
    def from_dict(cls: type[M], data: object) -> M:
        """The config that a file describes; unknown settings are refused.

        Raises:
            ConfigError: Something is missing, unknown or not allowed.
        """
        if not isinstance(data, dict):
            raise ConfigError("config", data, "an object of settings")
        own = {one.name: one for one in sorted(fields(cls), key=lambda one: bool(one.kw_only))}
        for name in data:
            if name not in own:
                raise ConfigError("config", name, f"one of {', '.join(own)}")
        for name, one in own.items():
            if name not in data and one.default is MISSING and one.default_factory is MISSING:
                raise ConfigError("config", data, f"an object with {name}")
        lists: dict[str, Any] = {
            name: tuple(v) if isinstance(v, list) else v for name, v in data.items()
        }
        return cls(**lists)

    def having(self: M, **settings: Any) -> M:
        """The same with some settings changed."""
        return replace(self, **settings)

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
    def site(self) -> Site:
        """What is gated, and what a reused step passes by.

        "blocks": whole blocks. "modules": every attention and MLP in them; everything that is said
        of blocks is meant of them then, in calling order, three a block in most models, and a
        module's replay should be of its output. "call": the transformer's call as a whole, which
        is forecast: neither embedding nor head runs, and no offloaded weight moves. Such a method
        reuses `WHOLE` or nothing, and keeps no block's replay. "chunks": all blocks, but perhaps
        for some chunks of frames only (`Plan.chunks`), on models that give each frame a timestep
        of its own; such a method is asked before block 0, and keeps `WHOLE` by the replay "chunks".
        """
        return "blocks"

    @property
    def frames_per_chunk(self) -> int:
        """Latent frames of a chunk, where the model is not set to causal blocks of frames."""
        return 1

    @property
    def guidance(self) -> Guidance:
        """Whether guidance branches are estimated from a step's first one (`Plan.estimate`).

        "used" where a pipeline calls its transformer once for each; "needed" where these settings
        do nothing else, so that other pipelines are refused.
        """
        return "unused"

    @property
    def long_skips(self) -> int:
        """How many long skips, from early blocks to late ones, a transformer must have for it."""
        return 0

    @property
    def replay(self) -> str:
        """How a reused span's output is made: a name of `bwcache.cache.replay.REPLAYS`."""
        return "residual"

    @property
    def forecast_reach(self) -> float:
        """How far calls are forecast along a straight path, in its last gaps; 0 holds the last."""
        return 1.0

    def forecast_correction(self, run: RunFacts) -> float:
        """How much a computed call makes up for what the forecasts before it missed, 0 to 1."""
        return 0.0

    def check_model(self, model: str) -> None:
        """Refuse a model on which these settings cannot work, before anything runs.

        Args:
            model: See `RunFacts`.

        Raises:
            ConfigError: Saying what is missing, and how to get it.
        """

    def probes(self, run: RunFacts) -> tuple[Probe, ...]:
        """What is measured."""
        return ()

    def kept(self, run: RunFacts) -> tuple[Span, ...]:
        """The spans whose replay is kept; they decide the memory."""
        return (WHOLE,)

    def all_reused(self, run: RunFacts) -> Plan:
        """A step that reuses all it can, as `step_mask` may ask for."""
        return Plan(self.kept(run))

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


def steps_of(setting: int | float, num_steps: int) -> int:
    """A number of steps as a setting gives it: counted, or as a share of all, rounded down."""
    if isinstance(setting, int):
        return setting
    return math.floor(setting * num_steps + ROUNDING)


@dataclass(frozen=True)
class Asked:
    """A method in the course of a run.

    Args:
        method: The config.
        run: What is known of the run.
        state: The method's own, as the last question left it.
        healthy: Whether its last numbers could be used.
        step: The step of the last question.
        reusing: Whether that step reuses anything.
        stretch: How many steps before that one, without a gap, have reused anything.
    """

    method: Method
    run: RunFacts
    state: Any
    healthy: bool = True
    step: int = -1
    reusing: bool = False
    stretch: int = 0


def start(method: Method, run: RunFacts) -> Asked:
    """A method before the first step of a run, or of one of its transformers."""
    return Asked(method, run, method.begin(run))


def ask(
    asked: Asked, step: int, block: int | None, numbers: Mapping[str, Sequence[float]]
) -> tuple[Plan, Asked]:
    """Ask a method for a plan: the one way to, live and in predictions, so that all are guarded.

    What holds for every method: numbers that are not finite never start or continue reuse (they
    are kept from the method, and everything is computed until finite ones have been measured); a
    transformer's first step is computed; so are the steps of `warm_up_steps`, in which the method
    is not asked at all, those that `step_mask` names, and the one after `max_consecutive`.

    Args:
        asked: The method as the last question left it.
        step, block: See `Seen`.
        numbers: What was measured since, not finite ones included.
    """
    method, run = asked.method, asked.run
    bad = {n for n, values in numbers.items() if not all(map(math.isfinite, values))}
    healthy = (asked.healthy or bool(numbers)) and not bad
    stretch = asked.stretch
    if step != asked.step:
        stretch = stretch + 1 if asked.reusing and step == asked.step + 1 else 0
    warm_up = steps_of(method.warm_up_steps, run.num_steps)
    if step < warm_up:
        plan, state = Plan(reason=f"one of the first {warm_up} steps"), asked.state
    else:
        why = _why_computed(method, run, step, healthy, stretch)
        good = {name: tuple(values) for name, values in numbers.items() if name not in bad}
        seen = Seen(step, block, good, why is not None)
        plan, state = method.decide(asked.state, seen)
        if why is not None:
            plan = Plan((), plan.until, why if plan.reuses or not healthy else plan.reason or why)
        elif _masked(method, step) == MASK_REUSE:
            plan = replace(method.all_reused(run), reason="the step mask says so")
    reusing = plan.reuses or (step == asked.step and asked.reusing)
    return plan, Asked(method, run, state, healthy, step, reusing, stretch)


def _masked(method: Method, step: int) -> str:
    return method.step_mask[step] if step < len(method.step_mask) else MASK_METHOD


def _why_computed(
    method: Method, run: RunFacts, step: int, healthy: bool, stretch: int
) -> str | None:
    """Why a step is computed whatever the method says; None where it may decide."""
    if not healthy:
        return NOT_FINITE
    if step == run.first_step:
        return NOT_CACHED
    if _masked(method, step) == MASK_COMPUTE:
        return "the step mask says so"
    if method.max_consecutive is not None and stretch >= method.max_consecutive:
        return f"{stretch} steps in a row were reused, the most allowed"
    return None


def letters(plan: Plan, num_blocks: int) -> str:
    """The blocks of a step in calling order: "C" for one that runs, "r" for one replayed."""
    reused = {i for span in plan.reused for i in range(*span.of(num_blocks))}
    return "".join("r" if i in reused else "C" for i in range(num_blocks))


# of a whole step, wherever a schedule is shown or sent
LETTERS: Mapping[Action, Literal["C", "r", "p"]] = MappingProxyType(
    {"compute": "C", "reuse": "r", "partial": "p"}
)


def action_of(blocks: str, in_every_branch: bool = True) -> Action:
    """What a step does.

    Args:
        blocks: Its blocks' letters.
        in_every_branch: Whether those that ran did so in every guidance branch.
    """
    if "r" not in blocks:
        return "compute" if in_every_branch else "partial"
    return "partial" if "C" in blocks else "reuse"
