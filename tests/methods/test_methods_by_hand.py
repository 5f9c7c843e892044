"""Each method's schedule, and what it gives, against arithmetic done by hand.

The toy's step t sees t + 1; each of its blocks doubles what it is given (see `tests/toy.py`). So
two blocks give 4 (t + 1) and add 3 (t + 1); every block's change against the step before is 1/t.
"""

from dataclasses import replace
from itertools import combinations

import pytest
import torch

from bwcache import (
    AdaCacheConfig,
    BACConfig,
    BlockCachingConfig,
    CacheError,
    ConfigError,
    DiCacheConfig,
    EasyCacheConfig,
    FORAConfig,
    LeMiCaConfig,
    MagCacheConfig,
    QuantCacheConfig,
    SmoothCacheConfig,
    SortblockConfig,
    StepsMaskConfig,
    TaylorSeerConfig,
    TeaCacheConfig,
    cached,
)
from bwcache.cache.method import RunFacts, Seen
from bwcache.cache.methods import METHODS
from bwcache.cache.methods.adacache import AdaCacheState
from bwcache.cache.methods.bac import schedules
from bwcache.cache.methods.schedule import best_path, lagged
from bwcache.cache.methods.sortblock import AHEAD, SortblockState
from tests.methods.calibrations import calibrations, needing, write  # noqa: F401
from tests.toy import ToyPipeline, ToyTransformer


def run(config, steps, blocks=2, **more):
    """What the toy gives at each step, and the trace."""
    pipe = ToyPipeline(transformer=ToyTransformer(blocks), **more)
    with cached(pipe, config) as done:
        given = pipe(steps)
    return given, done.trace


# -- known before the run ----------------------------------------------------------------------


def test_fora_computes_every_third_step():
    given, trace = run(FORAConfig(3), 7)
    assert trace.letters == "CrrCrrC"
    assert given == [4, 2 + 3, 3 + 3, 16, 5 + 12, 6 + 12, 28]


def test_taylorseer_follows_a_line_exactly():
    """Steps 0 to 2 are computed, then every third; what the stack adds grows by 3 a step."""
    given, trace = run(TaylorSeerConfig(3, 1), 9)
    assert trace.letters == "CCCrrCrrC"
    assert given == [4 * (t + 1) for t in range(9)]


def test_taylorseer_of_order_0_holds():
    given, _ = run(TaylorSeerConfig(3, 0), 5)
    assert given[3:] == [4 + 9, 5 + 9]


def test_taylorseer_of_order_2_adds_half_of_the_second_difference():
    """The stack adds 3 (t + 1)²: 27, 48, 75 at steps 2 to 4, whose differences are 21 and 27."""
    pipe = ToyPipeline()
    pipe.calls = lambda step: [(None, lambda latents: latents**2)]
    with cached(pipe, TaylorSeerConfig(3, 2, warm_up_steps=5)):
        given = pipe(7)
    assert given[5:] == [36 + 75 + 27 + 6 / 2, 49 + 75 + 2 * 27 + 4 * 6 / 2]


def test_step_masks_of_28_steps_and_of_fewer():
    _, trace = run(StepsMaskConfig("fast"), 28)
    assert trace.letters == "CCCCCCrCrrrCrrrrCrrrrrCrrrrC"
    _, trace = run(StepsMaskConfig("ultra"), 14)
    assert trace.letters.startswith("CCrC")


def test_smoothcache_takes_the_longest_lag_below_its_error(calibrations):  # noqa: F811
    """0.1, 0.2 and 0.3 at lags 1 to 3: below 0.25 two steps may be replayed."""
    _, trace = run(SmoothCacheConfig(0.25, calibration="mine"), 6)
    assert trace.letters == "CrrCrC"  # the last step is computed
    _, trace = run(SmoothCacheConfig(0.25, 1, calibration="mine"), 6)
    assert trace.letters == "CrCrCC"
    assert trace.state == {"calibration": "calibrated on mine with 6 steps"}


def test_another_number_of_steps_takes_the_nearest_and_says_so(calibrations):  # noqa: F811
    _, trace = run(SmoothCacheConfig(0.25, calibration="mine"), 9)
    assert trace.letters == "CrrCrrCrC"
    assert trace.state["calibration"].endswith("with 6 steps, the nearest to 9")
    assert "the nearest to 9" in str(trace)


def test_lemica_keeps_the_worst_stretch_short(calibrations):  # noqa: F811
    """Replaying after step 0 costs 0.9 at once, later 0.1 a step: 0, 1 and 3 are computed."""
    write(calibrations, "lemica", {"errors": [[0.9, 0.9]] + [[0.1, 0.2, 0.3, 0.4]] * 4})
    _, trace = run(LeMiCaConfig(3, "mine"), 5)
    assert trace.letters == "CCrCr"


@pytest.mark.parametrize("worst", [False, True])
def test_the_best_path_is_the_best_of_all(worst):
    table = [[abs((3 * t + 5 * lag) % 7 - 2) / 7 for lag in range(1, 8)] for t in range(8)]

    def cost(step, following):
        return lagged(table, step, following - step - 1) if following > step + 1 else 0.0

    def total(path):
        costs = [cost(a, b) for a, b in zip(path, [*path[1:], 8], strict=True)]
        return (max(costs), sum(costs)) if worst else sum(costs)

    every = [[0, *rest] for rest in combinations(range(1, 8), 2)]
    assert total(sorted(best_path(8, 3, cost, worst))) == pytest.approx(min(map(total, every)))


def test_block_caching_gives_each_block_its_own_schedule(calibrations):  # noqa: F811
    """Changes of 0.2 and 0.4 a step add up to 0.5 after three steps, and after two."""
    write(calibrations, "block_caching", {"changes": [[0, 0]] + [[0.2, 0.4]] * 4}, steps=5)
    given, trace = run(BlockCachingConfig(0.5, "mine"), 5)
    assert [step.blocks for step in trace.steps] == ["CC", "rr", "rC", "Cr", "rC"]
    assert given == [4, (2 + 1) + 2, (3 + 1) * 2, 8 + 4, (5 + 4) * 2]


BAC_TABLES = (  # similarity by block, step and lag
    (((0.8, 0.1, 0.1), (0.1, 0.1), (0.8,), ())),
    (((0.1, 0.1, 0.1), (0.9, 0.9), (0.1,), ())),
)


def test_bac_picks_each_blocks_best_step_and_lets_errors_rise():
    """One update beside step 0: block 0 is alike from step 2 on, block 1 from step 1 on."""
    tables = tuple(tuple(map(tuple, table)) for table in BAC_TABLES)
    assert schedules(tables, 2, 0) == ({0, 2}, {0, 1})
    assert schedules(tables, 2, 1) == ({0, 1, 2}, {0, 1})  # block 0's error is the larger


def test_bac_runs_its_schedule(calibrations):  # noqa: F811
    tables = [[list(row) for row in table] for table in BAC_TABLES]
    write(calibrations, "bac", {"similarities": tables}, steps=4)
    _, trace = run(BACConfig(2, 1, "mine"), 4)
    assert [step.blocks for step in trace.steps] == ["CC", "CC", "Cr", "rr"]


def test_magcache_takes_a_calibration_or_ratios(calibrations):  # noqa: F811
    write(calibrations, "magcache", {"ratios": [1, 1, 0.9, 0.9, 0.9, 0.9]})
    given = MagCacheConfig(0.15, retention_ratio=0.0, calibration="mine")
    same = MagCacheConfig(0.15, retention_ratio=0.0, ratios=(1, 1, 0.9, 0.9, 0.9, 0.9))
    assert run(given, 6)[1].letters == run(same, 6)[1].letters == "CrrCrC"


# -- decided by what a run shows -----------------------------------------------------------------


def test_easycache_adds_up_what_the_inputs_change_should_do():
    """k is 4: a step's change of 1 is 4 of 8 at step 2, 4 of 9 at step 3, 4 of 16 at step 4."""
    given, trace = run(EasyCacheConfig(0.6, warm_up_steps=2), 6)
    assert trace.letters == "CCrCrC"  # 0.5, then 0.94; 0.25; the last step is computed
    assert given == [4, 8, 3 + 6, 16, 5 + 12, 24]


def test_teacache_adds_up_the_signals_change():
    """1/t at step t: 1/2 is below 0.6, with 1/3 it is not; then 1/4."""
    _, trace = run(TeaCacheConfig(0.6, "hidden_states"), 6)
    assert trace.letters == "CCrCrC"
    assert "uncalibrated" in trace.state["calibration"]
    _, trace = run(TeaCacheConfig(0.6, "hidden_states", (2.0, 0.0)), 6)  # twice the change
    assert trace.letters == "CCCCrC"


def test_teacache_reads_its_polynomial_from_the_highest_degree_down(calibrations):  # noqa: F811
    """x² - 0.1 at 1/2, 1/3 and 1/4: 0.15 is below 0.16, with 0.011 it is not; then -0.0375."""
    numbers = {"coefficients": [1.0, 0.0, -0.1], "signal": "hidden_states"}
    write(calibrations, "teacache", numbers)
    _, trace = run(TeaCacheConfig(0.16, calibration="mine"), 6)
    assert trace.letters == "CCrCrC"


def test_adacache_looks_up_how_far_to_go():
    """Block 1 changes by 1, 1/2, 1/3 a step; below 0.40 two steps ahead, below 0.32 three."""
    _, trace = run(AdaCacheConfig(motion="off"), 12)
    assert trace.letters == "CCCCrCrrCrCC"  # 1/4 a step at step 5, 1/6 at step 8; the last two


def test_adacache_replays_longest_where_nothing_moves():
    pipe = ToyPipeline()
    pipe.start = torch.ones(1, 2, 3, 2, 2)  # three frames that are alike
    with cached(pipe, AdaCacheConfig()) as done:
        pipe(12)
    assert done.trace.letters == "CCrrrrrCrrCC"


def test_adacache_computes_more_where_more_moves():
    """A change of 0.1 goes five steps; 0.1 · 3 goes three; 0.1 · (3 + 1), as it rises, just one."""
    numbers = {"change": (0.1,), "motion": (3.0,), "prediction_size": (1.0,)}
    state = AdaCacheState(30, asked=4, computed=4)
    for config, before, ahead in (
        (AdaCacheConfig(motion="off"), None, 5),
        (AdaCacheConfig(), None, 3),
        (AdaCacheConfig(), 2.0, 1),
    ):
        seen = numbers if config.motion == "on" else {"change": (0.1,)}
        _, after = config.decide(replace(state, motion=before), Seen(5, None, seen))
        assert after.upcoming == 4 + ahead


def test_dicache_goes_on_as_far_as_its_probe_has():
    """The probe changes by 1/t: 1/2; with 1/3 too much; 1/4 and 1/5, with 1/6 too much."""
    given, trace = run(DiCacheConfig(0.6, warm_up_steps=2), 8)
    assert trace.letters == "CCpCppCp"
    assert given == pytest.approx([4 * (t + 1) for t in range(8)])  # γ is 2, 3/2, 2 and 4/3


def test_dicache_goes_no_farther_than_twice():
    """At step 3 the probe is three changes on: 2 + 2 · 2 is what it may add."""
    given, _ = run(DiCacheConfig(9.0, warm_up_steps=2), 4)
    assert given == [4, 8, 6 + 6, 8 + 6]


def test_sortblock_computes_the_least_foreseeable_blocks():
    config, state = SortblockConfig(5, 0.5), SortblockState(2, 4, (0.9, 0.1, 0.8, 0.2))
    plan, _ = config.decide(state, Seen(3, None, {}))
    assert [span.start for span in plan.reused] == [0, 2]
    plan, _ = config.decide(state, Seen(3, None, {AHEAD: (0.1, 0.9, 0.2, 0.8)}))
    assert [span.start for span in plan.reused] == [1, 3]
    assert not config.decide(state, Seen(7, None, {}))[0].reused


def test_sortblock_foretells_what_the_others_add():
    given, trace = run(SortblockConfig(3, 0.5), 9, blocks=4)
    assert [step.blocks.count("C") for step in trace.steps] == [4, 4, 4, 2, 2, 4, 2, 2, 4]
    assert given == [16 * (t + 1) for t in range(9)]


def test_quantcache_leaves_out_blocks_and_steps():
    """All outputs lie in one line: but for the first and the middle block, all are left out."""
    given, trace = run(QuantCacheConfig(0.6), 5, blocks=4)
    assert [step.blocks for step in trace.steps] == ["CCCC", "CrCr", "rrrr", "CCCC", "CrCr"]
    assert given[1] == (4 + 2) * 2 + 8
    assert given[2] == 3 + 2 + 2 + 6 + 8
    _, trace = run(QuantCacheConfig(0.6, 1.0), 5, blocks=4)
    assert set(trace.letters) == {"C", "r"}


# -- what cannot work says so ------------------------------------------------------------------


@pytest.mark.parametrize("name", needing())
def test_without_a_calibration_the_command_that_makes_one_is_named(name):
    with (
        pytest.raises(ConfigError, match=f"^calibration: .*bwcache calibrate {name} MODEL"),
        cached(ToyPipeline(), METHODS[name]()),
    ):
        pass


def test_a_damaged_or_foreign_calibration_is_refused(calibrations):  # noqa: F811
    (calibrations / "x.json").write_text("{}")
    for path, said in (("x.json", "bwcache-calibration"), ("mine/lemica.json", "not of lemica")):
        with pytest.raises(ConfigError, match=f"^calibration: .*{said}"):
            run(SmoothCacheConfig(calibration=str(calibrations / path)), 4)


def test_what_blocks_are_not_given_is_refused_before_the_run():
    with pytest.raises(CacheError, match="measures temb"), cached(ToyPipeline(), TeaCacheConfig()):
        pass


def test_a_model_is_found_by_the_name_it_was_loaded_with(calibrations):  # noqa: F811
    pipe = ToyPipeline()
    pipe.transformer.bwcache_model = "mine"
    with cached(pipe, SmoothCacheConfig(0.25)) as done:
        pipe(6)
    assert done.trace.letters == "CrrCrC"
    assert SmoothCacheConfig(0.25).begin(RunFacts(6, 2, model="mine")).said
