"""What `bench methods` compares: methods, grids of steps, and which prompts choose and report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError
from ..explore.families import Family, find_families
from ..files import ASSETS

CHOOSE = ASSETS / "prompts" / "methods-choose.txt"
REPORT = ASSETS / "prompts" / "methods-report.txt"


@dataclass(frozen=True)
class Grid:
    """Steps and flow shift; None for the scheduler's own shift."""

    steps: int
    shift: float | None = None

    @classmethod
    def read(cls, text: str) -> Grid:
        """`30`, or `30@5` for a flow shift of 5.

        Raises:
            ConfigError: It is neither.
        """
        steps, _, shift = text.partition("@")
        try:
            found = cls(int(steps), float(shift) if shift else None)
        except ValueError:
            found = cls(0)
        if not 4 <= found.steps <= 200 or (found.shift is not None and not found.shift > 0):
            raise ConfigError(
                "grids", text, "steps from 4 to 200, such as 30, or 30@5 with a shift"
            )
        return found


@dataclass(frozen=True)
class Plan:
    """How much is done.

    Args:
        families: What is compared.
        grids: On which steps and shifts.
        choose, report: The prompts of the two sets; no prompt may be in both.
        values: Of each knob, at most so many are reported.
        converged: Whether each prompt's converged run is made, too.
        seen: On so many of the reported prompts VMAF is measured, which takes seconds.
        raced: On so many of them each setting is also made in turns with the uncached run.
    """

    families: Sequence[Family]
    grids: Sequence[Grid]
    choose: Sequence[str]
    report: Sequence[str]
    values: int = 4
    converged: bool = True
    seen: int = 2
    raced: int = 1

    def __post_init__(self) -> None:
        both = set(self.choose) & set(self.report)
        if both:
            raise ConfigError("prompts", sorted(both)[0], "prompts that chose nothing")


def plan_of(
    names: Sequence[str] | None = None,
    threshold: float | None = None,
    grids: Sequence[Grid] = (),
    prompts: int | None = None,
    quick: bool = False,
    converged: bool = True,
    model: str = "",
) -> Plan:
    """The usual plan, or with `quick` one of about five minutes on TinyWorld.

    Args:
        names: Of families or methods; all where None.
        threshold: BWCache's on this model; the paper's where None.
        grids: Steps and shifts; the model's own where empty.
        prompts: So many of the reported ones; all where None.
        quick: One prompt to choose on, two to report, no race and no converged run.
        converged: Whether each prompt's converged run is made, which takes as long as four others.
        model: Whose calibrations the calibrated ones take.
    """
    choose, report = prompts_of(CHOOSE), prompts_of(REPORT)
    if prompts is not None and not 1 <= prompts <= len(report):
        raise ConfigError("prompts", prompts, f"a whole number from 1 to {len(report)}")
    chosen = find_families(names, threshold, model)
    if quick:
        few = report[12 : 12 + (prompts or 2)]
        return Plan(chosen, grids, choose[-1:], few, 2, False, 0, 0)
    return Plan(chosen, grids, choose[1::2], reported_prompts(prompts), converged=converged)


def reported_prompts(count: int | None = None) -> list[str]:
    """So many of the prompts that are reported, all where None.

    One half of their file shows one shape, the other two: some of both are taken.
    """
    found = prompts_of(REPORT)
    half = len(found) // 2
    return [p for pair in zip(found[:half], found[half:], strict=True) for p in pair][:count]


def prompts_of(path: Path) -> list[str]:
    """The prompts of a file, one a line."""
    return list(filter(None, path.read_text(encoding="utf-8").splitlines()))
