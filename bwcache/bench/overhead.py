"""`bench overhead`: what the indicator adds to a run, and how much of the ideal gain is reached."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from statistics import median

from tqdm import tqdm

from ..cache.install import cached
from ..cache.methods.bwcache import BWCacheConfig
from ..cache.trace import Trace
from .denoising_clock import denoising_clock
from .overhead_numbers import Round, overhead_numbers
from .paper_indicator import paper_style
from .workload import Workload, check_rounds

SHORT_RUN = 4  # steps, enough for one of each kind
ARMS = ("plain", "measured", "paper_style", "cached")

Arm = Callable[[], AbstractContextManager]


def overhead(
    workload: Workload, rounds: int = 7, config: BWCacheConfig | None = None
) -> dict[str, object]:
    """Run the four arms in turn, round after round, all timed from outside in the same way.

    Args:
        workload: What to run; one prompt.
        rounds: Runs of each arm, after a short warm-up of each. The order moves on by one each
            round.
        config: Of the cached arm; `Workload.caching()` where None.

    Returns:
        See `overhead_numbers.overhead_numbers`; besides the `config` and `schedule` of the cached
        arm, every arm's `seconds` in the order of the rounds, and the workload.

    Raises:
        ConfigError: A value is out of its bounds.
        ModelError: The model cannot be loaded.

    Decoding and text encoding are left out of every number.
    """
    check_rounds(rounds)
    config = workload.caching() if config is None else config
    prompt = workload.prompt
    pipe = workload.pipe()
    arms: dict[str, Arm] = {
        "plain": nullcontext,
        "measured": lambda: cached(pipe, workload.measuring()),
        "paper_style": lambda: paper_style(pipe),
        "cached": lambda: cached(pipe, config),
    }
    with tqdm(total=(rounds + 1) * len(ARMS), desc="overhead", unit="run", file=sys.stderr) as bar:

        def run(name: str, steps: int | None = None) -> tuple[float, Trace | None]:
            bar.set_postfix_str(name, refresh=False)
            result = timed(workload, pipe, arms[name], steps)
            bar.update()
            return result

        for name in ARMS:
            run(name, min(SHORT_RUN, workload.spec.steps))
        made = []
        for turn in range(rounds):
            first = turn % len(ARMS)
            made.append({name: run(name) for name in (*ARMS[first:], *ARMS[:first])})
    return {
        **workload.header(),
        "prompt": prompt,
        "config": config.as_dict(),
        "schedule": made[-1]["cached"][1].schedule,
        **overhead_numbers([as_round(runs) for runs in made]),
        "seconds": {name: [runs[name][0] for runs in made] for name in ARMS},
    }


def timed(
    workload: Workload, pipe, arm: Arm, steps: int | None = None
) -> tuple[float, Trace | None]:
    """Denoising seconds of one run, and its trace where the arm records one."""
    with ExitStack() as undo:
        state = undo.enter_context(arm())
        clock = undo.enter_context(denoising_clock(pipe))
        workload.denoise(pipe, steps)
        return clock.seconds(), getattr(state, "trace", None)


def as_round(runs: dict[str, tuple[float, Trace | None]]) -> Round:
    """A round's runs as the numbers that count."""
    measured, reused = runs["measured"][1], runs["cached"][1].steps_reused
    return Round(
        *(runs[name][0] for name in ARMS),
        indicator=sum(step.indicator_seconds for step in measured.steps),
        block_step=median(step.block_seconds for step in measured.steps),
        reused=reused,
    )
