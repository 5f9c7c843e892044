"""The seam: what a caching method is. A frozen config that decides, as a pure function.

    config  → which blocks' replays are kept, and which numbers are measured on the device
    decide  → (state, what was seen) → (the plan of a step, the next state)

A method holds formulas, thresholds and triggers. It holds no tensor, no clock and no trace: the
controller keeps those, and asks through `ask.py`, which guards every method alike. Standard
library only, so that a schedule can be predicted where there is no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import Any, ClassVar, Literal, TypeVar

from ..errors import ConfigError
from .knob import Knob, knob

Forecast = Literal["exact", "estimate", "none"]
Against = Literal["computed", "measured", "neighbour"]
Metric = Literal["relative_l1", "change", "size", "cosine", "cosine_ahead"]
Site = Literal["blocks", "modules", "call", "chunks"]
Guidance = Literal["unused", "used", "needed"]
M = TypeVar("M", bound="Method")

FEATURES = "features"  # the probe that the trace shows as distances and indicator
# of each chunk of frames (`Method.site`): by how much its tokens differ from the step before, as
# ‖now − before‖₁ / ‖before‖₁, and how many steps of its own it has begun, the first one not counted
CHUNK_CHANGE, CHUNK_MOVES = "chunk_change", "chunk_moves"


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
