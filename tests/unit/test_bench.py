"""The benchmarks: their arithmetic by hand, and each of them on small pipelines, clock apart."""

import itertools
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bwcache import BWCacheConfig, ConfigError, cached, models
from bwcache.bench import denoising_clock as clock
from bwcache.bench import overhead, presets, sampling
from bwcache.bench import replays as quality
from bwcache.bench.frontier import decibels_at, frontier, interpolated, stops_paying
from bwcache.bench.live_bytes import LiveBytes, stored_bytes
from bwcache.bench.memory import ALLOWANCE, memory
from bwcache.bench.overhead_numbers import (
    Round,
    efficiency,
    ideal_speedup,
    overhead_numbers,
    relative_cost,
)
from bwcache.bench.paper_indicator import paper_style
from bwcache.bench.program import run_program
from bwcache.bench.replays import Sample, conclusions, forecast_gain, point, replays
from bwcache.bench.settings_to_try import (
    APPROACHES,
    FEWER_STEPS,
    between,
    find_approaches,
    pairs_to_try,
    step_counts,
)
from bwcache.bench.workload import ALWAYS_MET, Workload
from bwcache.cache.controller import Controller
from bwcache.cache.trace import StepRecord, Trace
from bwcache.cli import main
from bwcache.runs.events import RunFinished
from bwcache.runs.ruler import Ruler
from tests.toy import ToyPipeline

MIB = 2**20
PROMPT = "a red circle moving right on a white background"
TOKENS = 5 * 8 * 8  # 33 frames of 128 × 128 pixels
STACK_BYTES = 2 * TOKENS * 64 * 4  # two branches, two heads of 32, float32


@pytest.fixture
def workload(small_model):
    return Workload(device="cpu", steps=6, prompts=(PROMPT,))


# -- arithmetic ---------------------------------------------------------------------------------

# 10 s in 10 steps, 0.8 s of each in blocks; 5 reused steps leave 6 s at best, 8 s were measured
ONE = Round(10, 11, 14, 8, indicator=0.9, block_step=0.8, reused=5)


def test_efficiency_by_hand():
    assert ideal_speedup(10, 0.8, 5) == pytest.approx(10 / 6)
    assert efficiency(ONE) == pytest.approx((10 / 8) / (10 / 6)) == pytest.approx(0.75)
    assert ideal_speedup(10, 0.8, 0) == 1
    assert ideal_speedup(10, 2, 5) is None
    assert efficiency(replace(ONE, block_step=2)) is None


def test_cost_against_the_plain_way():
    assert relative_cost(10, 11, 14) == 0.25
    assert relative_cost(10, 11, 10) is None
    assert relative_cost(10, 11, 9) is None


def test_ratios_are_paired_within_a_round():
    """The second round is three times slower throughout, and changes no ratio."""
    slow = Round(30, 33, 42, 24, indicator=2.7, block_step=2.4, reused=5)
    odd = Round(10, 12, 16, 10, indicator=0.9, block_step=0.8, reused=5)
    numbers = overhead_numbers([ONE, slow, odd])
    assert numbers["rounds"] == 3
    assert (numbers["ratio_median"], numbers["ratio_min"], numbers["ratio_max"]) == (1.1, 1.1, 1.2)
    assert numbers["paper_style_ratio_median"] == 1.4
    assert numbers["paper_style_ratio_max"] == 1.6
    assert numbers["efficiency"] == pytest.approx(0.75)
    assert numbers["efficiency_min"] == pytest.approx(0.6)
    assert numbers["efficiency_max"] == pytest.approx(0.75)
    assert (numbers["plain_seconds_median"], numbers["measured_seconds_median"]) == (10, 12)
    assert numbers["cost_vs_paper_style"] == pytest.approx((12 - 10) / (16 - 10))
    assert numbers["speedup_median"] == 1.25
    assert numbers["ideal_speedup_median"] == pytest.approx(10 / 6)
    assert numbers["indicator_seconds_median"] == 0.9


def test_numbers_are_null_where_blocks_take_all_the_time():
    numbers = overhead_numbers([replace(ONE, block_step=2)])
    assert numbers["efficiency"] is numbers["efficiency_max"] is None
    assert numbers["ideal_speedup_median"] is None


POINTS = [(1.2, 50.0), (1.5, 44.0), (1.4, 40.0), (2.5, 34.0), (2.4, 30.0)]


def test_the_frontier_leaves_out_what_another_point_beats():
    assert frontier(POINTS) == [(1.2, 50.0), (1.5, 44.0), (2.5, 34.0)]
    assert frontier([(2.0, 30.0), (2.0, 31.0)]) == [(2.0, 31.0)]
    assert frontier([]) == []


def test_decibels_between_two_points_of_the_frontier():
    """Half-way from (1.5, 44) to (2.5, 34)."""
    assert decibels_at(POINTS, 2.0) == pytest.approx(39.0)
    assert decibels_at(POINTS, 2.5) == 34.0
    assert decibels_at(POINTS, 2.6) is None
    assert decibels_at(POINTS, 1.0) == 50.0
    assert decibels_at([], 2.0) is None
    assert decibels_at([(2.0, 33.0)], 2.0) == 33.0


def test_interpolation_ends_with_its_points():
    curve = [(2, 10.0), (4, 20.0)]
    assert [interpolated(curve, x) for x in (1, 2, 3, 4, 5)] == [None, 10, 15, 20, None]
    assert interpolated(curve[:1], 2) == 10


def test_where_caching_stops_paying():
    """Fewer steps: 40 dB at 1×, 30 dB at 2×, 20 dB at 4×; so 35 at 1.5×, and 25 at 3×."""
    control = [(1, 40.0), (4, 20.0), (2, 30.0)]
    good, poor, hopeless = (1.5, 36.0, 16), (3, 25.5, 9), (3.5, 21.0, 6)
    assert stops_paying([good, poor, hopeless], control) == 9
    assert stops_paying([good, (3, 26.0, 9)], control) is None
    assert stops_paying([good, (1.6, 37.5, 15), (1.5, 35.5, 17)], control) is None  # 17: unwanted
    assert stops_paying([(0.5, 50.0, 4), (5, 41.0, 2)], control) is None  # nothing to compare with
    assert stops_paying([(1.5, 35.9, 16)], control) == 16
    assert stops_paying([], control) is None


def test_conclusions_pass_over_settings_that_left_a_video_as_it_was():
    def made(method, computed, speedup, psnr_db, identical=0):
        return {
            "method": method,
            "prompts_identical": identical,
            "speedup": speedup,
            "compute_share": computed / 10,
            "steps_computed": computed,
            "psnr_db": psnr_db,
        }

    points = [
        made("a", 10, 1.0, 99.0, identical=2),
        made("a", 8, 1.2, 70.0, identical=1),
        made("a", 6, 1.6, 44.0),
        made("a", 4, 2.4, 36.0),
        *(made(FEWER_STEPS, n, 10 / n, 3.0 * n + 20) for n in (8, 6, 4)),
    ]
    found = conclusions(points, ["a", FEWER_STEPS])
    assert found["psnr_at_2x"] == {
        "a": pytest.approx(40.0),
        FEWER_STEPS: pytest.approx(38 - 6 * (2 - 10 / 6) / (10 / 4 - 10 / 6)),
    }
    assert found["psnr_at_half"] == {"a": pytest.approx(40.0), FEWER_STEPS: pytest.approx(35.0)}
    assert found["where_caching_stops_paying"] == {"a": None}
    assert conclusions(points, ["a"]) | {"psnr_at_2x": 0} == {
        "psnr_at_2x": 0,
        "psnr_at_half": {"a": pytest.approx(40.0)},
        "where_caching_stops_paying": {"a": None},
    }


def test_a_point_over_its_prompts():
    samples = [
        Sample(2.0, 40.0, 0.9, 5, 10),
        Sample(4.0, 99.0, 1.0, 6, 30),
        Sample(3, 50, 0.8, 7, 20),
    ]
    knob = APPROACHES[FEWER_STEPS].settings(models.find("tinyworld"), [])[0]
    made = point(FEWER_STEPS, knob, samples, 12)
    assert made["config"] == {"steps": 28}
    assert (made["speedup"], made["speedup_min"], made["speedup_max"]) == (3.0, 2.0, 4.0)
    assert (made["psnr_db"], made["psnr_db_min"], made["psnr_db_max"]) == (63.0, 40.0, 99.0)
    assert made["ssim"] == pytest.approx(0.9)
    assert (made["steps_computed"], made["compute_share"]) == (6.0, 0.5)
    assert made["peak_memory_bytes"] == 30
    assert (made["prompts"], made["prompts_identical"]) == (3, 1)


def test_what_a_forecast_gains_is_paired_by_setting_and_prompt():
    spec = models.find("tinyworld")
    residual, forecast = (APPROACHES[f"bwcache-{reuse}"] for reuse in ("residual", "forecast"))
    pairs = [(0.045, 2), (0.045, 4)]
    decibels = {residual: [(40.0, 30.0), (35.0, 25.0)], forecast: [(44.0, 30.5), (34.0, 27.0)]}
    samples = {
        (method.name, knob): [Sample(2.0, psnr, 0.9, 5, 10) for psnr in found]
        for method, several in decibels.items()
        for knob, found in zip(method.settings(spec, pairs), several, strict=True)
    }
    assert forecast_gain(samples) == {
        "pairs": 4, "mean_db": (4 + 0.5 - 1 + 2) / 4, "worst_db": -1.0, "best_db": 4.0,
    }  # fmt: skip
    assert (
        forecast_gain({key: same for key, same in samples.items() if "forecast" in key[0]}) is None
    )


# -- the registry -------------------------------------------------------------------------------


def test_the_methods():
    assert list(APPROACHES) == [
        "bwcache-residual",
        "bwcache-output",
        "bwcache-forecast",
        "bwcache-residual-recheck",
        "bwcache-output-recheck",
        "bwcache-forecast-recheck",
        "fewer-steps",
    ]
    spec = models.find("tinyworld")
    (knob,) = APPROACHES["bwcache-forecast-recheck"].settings(spec, [(0.045, 4)])
    assert knob.text == "δ 0.045, R 4"
    assert (knob.config.reuse, knob.config.gate) == ("forecast", "recheck")
    assert {name: knob.as_dict()[name] for name in spec.indicator} == spec.indicator
    assert find_approaches(["fewer-steps", "fewer-steps"]) == [APPROACHES["fewer-steps"]]
    with pytest.raises(ConfigError, match="^methods: got 'teacache'"):
        find_approaches(["teacache"])


def test_the_settings_tried():
    spec = models.find("tinyworld")
    preset = spec.default_preset.config
    pairs = pairs_to_try(spec, (preset.threshold / 2, preset.threshold * 8))
    centre = [r for threshold, r in pairs if threshold == preset.threshold]
    assert centre == [1, 2, 3, 4, 6, 8]
    thresholds = sorted({threshold for threshold, _ in pairs})
    assert preset.threshold / 2 < thresholds[0]
    assert thresholds[-1] < preset.threshold * 8
    assert len(thresholds) == 5
    assert len(pairs) == len(set(pairs))
    assert pairs_to_try(spec, None, [0.1, 0.2], [1, 0.5]) == [
        (0.1, 1),
        (0.1, 0.5),
        (0.2, 1),
        (0.2, 0.5),
    ]
    assert pairs_to_try(spec, (0.0, 0.0)) == pairs_to_try(spec, None)


def test_settings_follow_the_measurement_where_the_preset_means_nothing():
    pairs = pairs_to_try(models.find("tinyworld"), (2.0, 64.0))
    assert {threshold for threshold, _ in pairs} == {4.0, 8.0, 16.0, 32.0}


def test_numbers_in_between():
    assert between(1, 16, 3) == [2, 4, 8]
    assert step_counts(30) == [28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6]
    assert step_counts(10) == [8, 7, 6, 5, 4, 3, 2]
    assert step_counts(2) == [2]


# -- measuring ----------------------------------------------------------------------------------


def test_live_bytes_of_a_tensor_that_is_kept_and_then_freed():
    before = torch.zeros(MIB // 4)
    with LiveBytes() as counted:
        kept = before + 1
        assert (counted.live, counted.peak) == (MIB, MIB)
        view, same = kept.view(2, -1)[0], kept.add_(1)
        old = before.view(2, -1)
        assert counted.live == MIB
        del kept, same, old
        assert counted.live == MIB  # the view still holds it
        del view
        assert counted.live == 0
        other = before.half()
        assert (counted.live, counted.peak) == (MIB // 2, MIB)
    del other
    assert counted.live == 0


def test_stored_bytes_count_a_storage_once():
    one = torch.zeros(MIB // 4)
    assert stored_bytes([one, [one.view(2, -1), None], (one[:1],)]) == MIB
    assert stored_bytes([None, []]) == 0


def test_the_clock_spans_the_first_call_to_the_last_step(monkeypatch):
    """Each look at this clock takes a second; the first is at step 0, then one a step."""
    ticks = itertools.count()
    monkeypatch.setattr(clock, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    pipe = ToyPipeline(branches=2)
    with cached(pipe, BWCacheConfig(0.0)) as run, clock.denoising_clock(pipe) as watch:
        pipe(5)
    assert watch.seconds() == 5
    assert len(run.trace.steps) == 5
    assert "step" not in vars(pipe.scheduler)
    assert not pipe.transformer._forward_pre_hooks


def test_a_step_ends_once_however_many_schedulers_step():
    """Where every frame has a timestep, a copy of the scheduler steps for each."""
    pipe = ToyPipeline(branches=2)

    def another_frame(step: int, latents: torch.Tensor) -> torch.Tensor:
        if step:
            pipe.scheduler.step(latents, pipe.scheduler.timesteps[step - 1], latents)
        return latents

    pipe.before_step = another_frame
    with paper_style(pipe) as state, clock.denoising_clock(pipe) as watch:
        pipe(4)
    assert state.indicators == [None, 1.0, 0.5, pytest.approx(1 / 3)]
    assert len(watch.step_seconds()) == 4


def test_the_clock_includes_what_caching_does_at_both_ends(monkeypatch):
    order, pipe = [], ToyPipeline()
    monkeypatch.setattr(clock.DenoisingClock, "begin", lambda *_: order.append("begin"))
    monkeypatch.setattr(clock.DenoisingClock, "step_ended", lambda *_: order.append("end"))
    begin_call = Controller.begin_call
    monkeypatch.setattr(
        Controller, "begin_call", lambda *a: order.append("caching") or begin_call(*a)
    )
    with (
        cached(pipe, BWCacheConfig(0.0), on_step=lambda *_: order.append("caching")),
        clock.denoising_clock(pipe),
    ):
        pipe(2)
    assert order == ["begin", "caching", "caching", "end"] * 2


def test_the_plain_way_by_hand():
    """Each block changes by 1/t against the step before, ten times larger features as well."""
    pipe = ToyPipeline(branches=2)
    with paper_style(pipe) as state:
        predictions = pipe(4)
    assert state.indicators == [None, 1.0, 0.5, pytest.approx(1 / 3)]
    assert predictions == [4, 8, 12, 16]
    assert not state._kept
    assert "step" not in vars(pipe.scheduler)
    assert not pipe.transformer._forward_pre_hooks
    assert not any(block._forward_hooks for block in pipe.transformer.blocks)


def test_the_plain_way_agrees_with_ours_over_all_tokens(workload, wan):
    with paper_style(wan) as plain:
        workload.denoise(wan)
    with cached(wan, BWCacheConfig(0.0, indicator_tokens=None)) as run:
        workload.denoise(wan)
    assert plain.indicators[0] is run.trace.indicators[0] is None
    assert plain.indicators[1:] == pytest.approx(run.trace.indicators[1:], rel=1e-5)


# -- the benchmarks -----------------------------------------------------------------------------


def test_overhead_runs_every_arm_in_turn(workload, monkeypatch):
    order = []
    timed = overhead.timed

    def noted(workload, pipe, arm, steps=None):
        result = timed(workload, pipe, arm, steps)
        order.append(steps or "whole")
        return result

    monkeypatch.setattr(overhead, "timed", noted)
    result = overhead.overhead(workload, 2, BWCacheConfig(1e6, 2))
    assert order == [4] * 4 + ["whole"] * 8
    assert "".join(action[0] for action in result["schedule"]) == "ccrrcr"
    assert result["rounds"] == 2
    assert {len(seconds) for seconds in result["seconds"].values()} == {2}
    assert list(result["seconds"]) == ["plain", "measured", "paper_style", "cached"]
    for name in ("ratio", "paper_style_ratio"):
        low, middle, high = (result[f"{name}_{end}"] for end in ("min", "median", "max"))
        assert 0 < low <= middle <= high
    assert result["efficiency_min"] <= result["efficiency"] <= result["efficiency_max"]
    assert result["block_seconds_per_step_median"] > 0
    assert result["shape"] == {"height": 128, "width": 128, "frames": 33}
    assert (result["model"], result["steps"], result["seed"]) == ("tinyworld", 6, 0)


def test_memory_by_part_and_the_same_every_time(workload):
    config = BWCacheConfig(1e6, 2, indicator_tokens=None)
    result = memory(workload, config)
    assert result["how"] == "live tensor bytes"
    assert (result["branches"], result["steps_reused"]) == (2, 3)
    assert result["stack_bytes"] == STACK_BYTES
    assert result["sample_bytes"] == 2 * 3 * STACK_BYTES  # three blocks, and room for three
    assert result["extra_bytes"] == result["cached_peak_bytes"] - result["baseline_peak_bytes"]
    assert result["extra_bytes"] >= result["sample_bytes"]
    assert result["goal_bytes"] == STACK_BYTES + ALLOWANCE
    assert result["within_goal"] is True
    again = memory(workload, config)
    assert again == result
    sampled = memory(workload, replace(config, indicator_tokens=8))
    assert sampled["sample_bytes"] < result["sample_bytes"] / 10
    assert sampled["extra_bytes"] < result["extra_bytes"]
    assert sampled["baseline_peak_bytes"] == result["baseline_peak_bytes"]


def test_replays_run_no_schedule_twice(workload):
    names = ["bwcache-residual", "bwcache-residual-recheck", FEWER_STEPS]
    result = replays(workload, names, thresholds=[1e6, 1e7, 1e-9], intervals=[1, 2])
    by_method = {name: [p for p in result["points"] if p["method"] == name] for name in names}
    assert {name: len(points) for name, points in by_method.items()} == {
        "bwcache-residual": 6,
        "bwcache-residual-recheck": 6,
        FEWER_STEPS: 3,
    }
    # once: two schedules and the one without reuse; recheck: the latter only is known beforehand
    assert result["runs_saved"] == 3 + 1
    assert result["runs"] == 1 + 15 - 4 + 2  # the uncached one again, after four and eight others
    computed = {p["knob"]: p["steps_computed"] for p in by_method["bwcache-residual"]}
    assert computed == {
        "δ 1e+06, R 1": 4,
        "δ 1e+06, R 2": 3,
        "δ 1e+07, R 1": 4,
        "δ 1e+07, R 2": 3,
        "δ 1e-09, R 1": 6,
        "δ 1e-09, R 2": 6,
    }
    unchanged = by_method["bwcache-residual"][-1]
    assert (unchanged["psnr_db"], unchanged["prompts_identical"]) == (99.0, 1)
    assert [p["config"] for p in by_method[FEWER_STEPS]] == [{"steps": n} for n in (4, 3, 2)]
    assert list(result["psnr_at_half"]) == list(result["psnr_at_2x"]) == names
    half = next(p for p in by_method["bwcache-residual"] if p["steps_computed"] == 3)
    assert result["psnr_at_half"]["bwcache-residual"] == pytest.approx(half["psnr_db"])
    assert list(result["where_caching_stops_paying"]) == names[:2]
    json.dumps(result, allow_nan=False)


def test_a_machine_that_slows_down_is_not_taken_for_a_slow_method(workload, monkeypatch):
    """Each run takes a tenth longer than the last; an uncached one is never far behind."""
    seconds = (1.1**n for n in itertools.count())

    def run(self, name, config, steps=None):
        step = StepRecord(0, "compute", "", seconds=next(seconds))
        frames = np.zeros((1, 32, 32, 3), np.float32)
        return RunFinished(name, Trace(1, 1, {}, (step,)), frames, 1.0, 1)

    monkeypatch.setattr(quality.Runner, "_run", run)
    runner = quality.Runner(workload)
    runner.start(PROMPT)
    (method,) = find_approaches([FEWER_STEPS])
    knob = method.settings(workload.spec, [])[0]
    found = [runner.sample(method, knob).speedup for _ in range(8)]
    assert found == pytest.approx([1.1**-n for n in (1, 2, 3, 4)] * 2)


def test_random_weights_reuse_although_the_preset_means_nothing():
    preset = models.find("tinyworld").default_preset.config
    assert Workload(random_weights=True).caching().threshold == ALWAYS_MET
    assert Workload().caching().threshold == preset.threshold
    assert Workload(random_weights=True).caching(0.2, 3) == BWCacheConfig(
        0.2, 3, **models.find("tinyworld").indicator
    )


def test_where_prompts_come_from(monkeypatch, tmp_path):
    spec = models.find("tinyworld")
    monkeypatch.setattr("bwcache.bench.workload.PROMPTS", tmp_path / "prompts.txt")
    assert Workload().many_prompts == spec.examples
    assert Workload().prompt == spec.examples[0]
    (tmp_path / "prompts.txt").write_text("a red circle\n\na blue square\n")
    assert Workload().many_prompts == ("a red circle", "a blue square")
    assert Workload(prompts=("a green circle",)).many_prompts == ("a green circle",)


# -- the command line ---------------------------------------------------------------------------


@pytest.mark.parametrize("bench", ["overhead", "memory", "replays"])
@pytest.mark.usefixtures("workload")
def test_one_object_on_stdout_and_the_same_in_the_file(bench, tmp_path, capsys):
    own = {
        "overhead": ["--rounds", "1"],
        "memory": ["--threshold", "1000000", "--reuse-interval", "0.5"],
        "replays": ["--methods", "bwcache-output", "--thresholds", "1e6", "--intervals", "1,0.5"],
    }[bench]
    out = tmp_path / "result.json"
    given = ["--steps", "3", "--device", "cpu", "--prompt", PROMPT, "--out", str(out), *own]
    assert main(["bench", bench, *given, "--json"]) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert result == json.loads(out.read_text())
    assert list(tmp_path.iterdir()) == [out]
    assert result["model"] == "tinyworld"
    assert result["random_weights"] is False
    assert result["device"].startswith("cpu: ")
    assert result["versions"]["diffusers"]
    assert f"{bench}:" in captured.err
    assert main(["bench", bench, *given]) == 0
    said = capsys.readouterr().out
    assert said.startswith("tinyworld, 33 frames of 128 × 128, 3 steps, cpu: ")
    assert 4 <= said.count("\n") <= 8


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["overhead", "--rounds", "0"], "rounds"),
        (["overhead", "--rounds", "few"], "rounds"),
        (["overhead", "--steps", "1"], "steps"),
        (["overhead", "--seed", "-1"], "seed"),
        (["overhead", "--model", "sora"], "model"),
        (["overhead", "--threshold", "nan"], "threshold"),
        (["overhead", "--reuse-interval", "often"], "reuse_interval"),
        (["overhead", "--prompt", PROMPT, "--prompt", PROMPT], "prompt"),
        (["memory", "--prompt", "a red elephant"], "elephant"),
        (["memory", "--height", "65"], "height"),
        (["memory", "--width", "0"], "width"),
        (["memory", "--frames", "4"], "frames"),
        (["memory", "--device", "tpu"], "device"),
        (["replays", "--methods", "bwcache-residual,teacache"], "methods"),
        (["replays", "--methods", ""], "methods"),
        (["replays", "--thresholds", "0.1,low"], "thresholds"),
        (["replays", "--thresholds", "-1"], "threshold"),
        (["replays", "--intervals", "0"], "reuse_interval"),
        (["speed"], "BENCHMARK"),
        ([], "BENCHMARK"),
    ],
)
@pytest.mark.usefixtures("workload")
def test_bad_input_is_one_line_and_status_two(arguments, field, tmp_path, capsys):
    given = [*arguments, "--out", str(tmp_path / "result.json")] if arguments else []
    try:
        status = main(["bench", *given])
    except SystemExit as stop:
        status = stop.code
    captured = capsys.readouterr()
    assert status == 2
    assert field in captured.err
    assert captured.err.count("\n") == 1
    assert not captured.out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("workload")
def test_presets_are_measured_and_picked(tmp_path, monkeypatch, capsys):
    prompts, out = tmp_path / "prompts.txt", tmp_path / "presets.json"
    prompts.write_text(PROMPT)
    given = ["--thresholds", "1e6", "--intervals", "2", "4", "--reuse", "residual"]
    monkeypatch.setattr(
        "sys.argv", ["presets", "--prompts", str(prompts), "--out", str(out), *given]
    )
    presets.main()
    result = json.loads(out.read_text())
    assert [row["prompt"] for row in result["rows"]] == [PROMPT] * 2
    assert presets.pick(result["settings"], Ruler.from_dict(result["ruler"])) == result["presets"]
    assert all(row["control_psnr_db"] for row in result["rows"])
    assert "δ 1000000.0 R 2 residual" in capsys.readouterr().out


@pytest.mark.usefixtures("workload")
def test_samplings_are_compared_with_the_exact_indicator(tmp_path, monkeypatch):
    out = tmp_path / "sampling.json"
    given = ["--steps", "4", "--prompts", "1", "--blocks", "1", "--tokens", "8"]
    monkeypatch.setattr("sys.argv", ["sampling", "--out", str(out), *given])
    sampling.main()
    rows = json.loads(out.read_text())["samplings"]
    pairs = [(row["indicator_blocks"], row["indicator_tokens"]) for row in rows]
    assert pairs == [(None, None), (None, 8), (1, None), (1, 8)]
    assert rows[0]["grid"] == {"steps_equal": 1.0, "schedules_equal": 1.0, "bias": 0.0}


@pytest.mark.parametrize(
    ("name", "given"), [("presets", ["--thresholds", "1"]), ("sampling", ["--prompts", "1"])]
)
def test_a_program_refuses_in_one_line(name, given, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("sys.argv", [name, "--out", str(tmp_path), *given])
    with pytest.raises(SystemExit) as stop:
        run_program(name, {"presets": presets, "sampling": sampling}[name].main)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"{name}: out: got")
    assert error.count("\n") == 1


@pytest.mark.usefixtures("workload")
def test_a_file_that_cannot_be_written(tmp_path, capsys):
    for bad in (tmp_path, tmp_path / "none" / "result.json", "/proc/result.json"):
        assert main(["bench", "memory", "--out", str(bad)]) == 2
        assert "out: got" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_no_gpu_is_said_at_once(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["bench", "memory", "--device", "cuda"]) == 2
    assert "device: got 'cuda'" in capsys.readouterr().err
