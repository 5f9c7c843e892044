"""Comparisons, their files and the command line, on a small random-weight pipeline."""

import json
import re
import threading
from contextlib import closing, nullcontext
from dataclasses import replace
from types import SimpleNamespace

import imageio.v3 as iio
import numpy as np
import pytest
import torch

from bwcache import BWCacheConfig, ConfigError, Trace, TraceFile, models, predict
from bwcache.cli import main
from bwcache.files import check_folder
from bwcache.models.progress import Loading
from bwcache.runs import baselines
from bwcache.runs import generate as generating
from bwcache.runs import race as racing
from bwcache.runs.baselines import BaselineStore, remembering
from bwcache.runs.compare import compare
from bwcache.runs.events import ComparisonFinished, RunFinished, RunStarted, StepDone
from bwcache.runs.metrics import difference
from bwcache.runs.request import Request
from bwcache.runs.result_files import save
from bwcache.runs.verdict import sentence

PROMPT = "a red circle moving right on a white background"
REUSING = BWCacheConfig(1e6, 2)

pytestmark = pytest.mark.usefixtures("small_model")


def request(**changes) -> Request:
    return Request(**{"prompt": PROMPT, "steps": 6, "config": REUSING, **changes})


def finish(*arguments, **keywords) -> ComparisonFinished:
    *_, last = compare(*arguments, device="cpu", **keywords)
    return last


def test_events_arrive_in_order():
    load, warm_up, *events = compare(request(control=True), device="cpu")
    assert [load, warm_up] == [Loading("load"), Loading("warm_up")]
    kinds = [type(event) for event in events]
    assert kinds[:2] == [RunStarted] * 2
    assert kinds[-4:] == [*[RunFinished] * 3, ComparisonFinished]
    assert [e.run for e in events[-4:-1]] == ["baseline", "cached", "control"]
    steps = {
        run: [e.record for e in events if getattr(e, "record", None) and e.run == run]
        for run in ("baseline", "cached", "control")
    }
    assert list(map(len, steps.values())) == [6, 6, 3]
    assert "".join(record.action[0] for record in steps["cached"]) == "ccrrcr"
    (control,) = [e for e in events[2:] if isinstance(e, RunStarted)]
    assert (control.run, control.num_steps) == ("control", 3)
    arrived = [
        e.record.step_index if isinstance(e, StepDone) and e.run == "cached" else None
        for e in events
    ].index(5)
    assert events.index(control) > arrived  # only then it is known how many steps it has
    assert all(e.preview and len(e.preview) <= 400 for e in events if isinstance(e, StepDone))


def test_summary_has_every_number():
    summary = finish(request(control=True)).summary
    assert (summary.steps_computed, summary.steps_reused) == (3, 3)
    assert summary.control.steps == 3
    assert summary.speedup_measured == summary.baseline_seconds / summary.cached_seconds
    assert summary.speedup == (summary.speedup_robust if summary.busy else summary.speedup_measured)
    assert summary.speedup_ceiling == 2
    assert summary.waited_seconds > summary.baseline_seconds + summary.cached_seconds
    assert summary.in_turns
    assert 0 < summary.indicator_share < 1
    assert 0 < summary.block_share < 1
    assert summary.psnr_db > 0
    for score, reason in (
        (summary.vmaf, summary.vmaf_reason),
        (summary.lpips, summary.lpips_reason),
    ):
        assert (score is None) == bool(reason)
    assert len(summary.frames_psnr_db) == len(summary.frames_ssim) == 33
    assert min(summary.frames_psnr_db) <= summary.psnr_db <= max(summary.frames_psnr_db)
    assert 1 <= summary.difference_gain <= 32
    assert summary.versions["diffusers"] == "0.42.1"
    assert summary.config["threshold"] == 1e6
    json.dumps(summary.as_dict(), allow_nan=False)


KEYS = [
    "model",
    "random_weights",
    "revision",
    "prompt",
    "seed",
    "steps",
    "method",
    "config",
    "speedup",
    "speedup_measured",
    "speedup_ceiling",
    "speedup_robust",
    "speedup_spread",
    "busy",
    "disturbed_steps",
    "in_turns",
    "baseline_seconds",
    "cached_seconds",
    "baseline_total_seconds",
    "cached_total_seconds",
    "waited_seconds",
    "baseline_remembered",
    "steps_computed",
    "steps_reused",
    "steps_partial",
    "compute_share",
    "trigger_step",
    "indicator_share",
    "block_share",
    "indicator_range",
    "reuse_starts_above",
    "psnr_db",
    "ssim",
    "identical",
    "vmaf",
    "vmaf_reason",
    "lpips",
    "lpips_reason",
    "frames_psnr_db",
    "frames_ssim",
    "psnr_convention",
    "difference_gain",
    "peak_memory_bytes",
    "peak_memory_reason",
    "device",
    "offload",
    "versions",
]
CONTROL_KEYS = ["control_steps", "control_seconds", "control_psnr_db", "control_kind"]


@pytest.mark.parametrize("control", [False, True])
def test_the_file_has_its_keys_in_their_order(control, tmp_path):
    finished = finish(request(control=control))
    ends = [*(CONTROL_KEYS if control else []), "verdict", "warning", "sound_snr_db", "concerns"]
    assert list(finished.summary.as_dict()) == [*KEYS, *ends]
    more = replace(finished, summary=finished.summary.adding(suggestion=None))
    written = json.loads(save(more, tmp_path)["summary"].read_text())
    assert list(written) == [*KEYS, *ends, "suggestion"]
    assert written["suggestion"] is None


def test_threshold_zero_gives_identical_videos_and_says_that_nothing_was_reused():
    summary = finish(request(config=BWCacheConfig(0.0))).summary
    assert summary.identical is True
    assert summary.psnr_db is None
    assert "Nothing was reused" in summary.verdict


def test_nothing_reused_names_the_threshold_that_would():
    summary = finish(request(config=BWCacheConfig(1e-6))).summary
    lowest = summary.reuse_starts_above
    assert summary.steps_reused == 0
    assert f"threshold above {lowest:.3g} reuses" in summary.verdict
    assert finish(request(config=BWCacheConfig(lowest * 1.001))).summary.steps_reused > 0


def test_a_remembered_baseline_is_not_run_again(monkeypatch):
    made = []
    run = racing._Race._run
    monkeypatch.setattr(
        racing._Race, "_run", lambda self, *a: made.append(a[1].name) or run(self, *a)
    )
    store = BaselineStore()
    first = finish(request(), store=store)
    again = list(compare(request(config=BWCacheConfig(0.0)), store, "cpu"))
    assert sorted(made[:2]) == ["baseline", "cached"]
    assert made[2:] == ["cached"]
    assert again[0].remembered
    assert again[-1].summary.baseline_remembered
    assert again[-1].summary.identical
    assert again[-1].trace_file.baseline == first.trace_file.baseline
    finish(request(seed=1), store=store)
    assert sorted(made[3:]) == ["baseline", "cached"]


@pytest.mark.parametrize(
    "config",
    [
        BWCacheConfig(0.1, reuse="forecast", gate="recheck"),
        BWCacheConfig(0.1, indicator_blocks=1, indicator_tokens=4),
    ],
)
def test_one_uncached_run_serves_every_method_and_setting(config, monkeypatch):
    """It measures what the catalogue's entry says, whatever the cached run measures."""
    spec = models.find("tinyworld")
    store = BaselineStore()
    first = finish(request(), store=store)
    usual = BWCacheConfig(0.0, **spec.indicator).as_dict()
    assert first.trace_file.baseline.config == usual == REUSING.measuring().as_dict()
    again = finish(request(config=config), store=store)
    assert again.summary.baseline_remembered
    assert again.trace_file.baseline == first.trace_file.baseline
    assert again.trace_file.cached.config == config.as_dict()


def remember(store: BaselineStore, size: int, **changes) -> RunFinished:
    """Let a store see an uncached run whose video takes so many bytes."""
    trace = Trace(1, 1)
    run = RunFinished("baseline", trace, np.zeros(size, np.uint8), 1.0, None)
    assert list(store.keeping(request(**changes), (event for event in [run]))) == [run]
    return run


def test_the_store_forgets_the_oldest():
    store = BaselineStore(limit=2)
    runs = [remember(store, 10, seed=seed) for seed in range(3)]
    assert [store.get(request(seed=seed)) for seed in range(3)] == [None, *runs[1:]]


def test_long_videos_are_remembered_by_their_size(monkeypatch):
    monkeypatch.setattr(baselines, "REMEMBERED_BYTES", 250)
    store = BaselineStore()
    for seed in range(3):
        remember(store, 100, seed=seed)
    assert (store.nbytes, store.get(request(seed=0))) == (200, None)
    large = remember(store, 1000, seed=3)
    assert store.get(request(seed=3)) is large  # the last one stays, whatever its size
    assert store.nbytes == 1000


def test_an_uncached_run_is_kept_before_its_reader_has_it_and_even_from_elsewhere():
    """The comparison here puts nothing anywhere, as one in another process cannot."""
    store = BaselineStore()
    compared = remembering(lambda asked, baseline, device: compare(asked, None, "cpu"))
    with closing(compared(request(), store)) as events:
        for event in events:
            if isinstance(event, RunFinished):
                break
    assert store.get(request()) is event


def test_nothing_else_can_put_an_uncached_run_anywhere():
    assert [name for name in dir(BaselineStore) if not name.startswith("_")] == [
        "devices_of",
        "get",
        "keeping",
        "nbytes",
    ]


def test_peak_memory_is_the_runs_own_or_null(monkeypatch, wan):
    """On a CPU nothing tells it; on a GPU the count begins anew with every run."""
    finished = finish(request())
    assert finished.summary.peak_memory_bytes is None
    assert {run.peak_memory_bytes for run in finished.runs} == {None}
    counted = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: counted.append(0))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 7 * len(counted))
    monkeypatch.setattr(type(wan), "_execution_device", torch.device("cuda:0"))
    monkeypatch.setattr(generating, "cached", lambda *a, **k: nullcontext(SimpleNamespace(trace=0)))
    monkeypatch.setattr(type(wan), "__call__", lambda self, **k: SimpleNamespace(frames=[0]))
    given = (wan, models.find("tinyworld"), "cached", PROMPT, 0, 6, REUSING)
    peaks = [list(generating.generate(*given))[-1].peak_memory_bytes for _ in range(2)]
    assert peaks == [7, 14]


def test_closing_stops_the_work_and_the_next_run_is_unaffected(wan):
    whole = finish(request()).runs[1].frames
    with closing(compare(request(steps=100), device="cpu")) as events:
        for event in events:
            if isinstance(event, StepDone) and event.record.step_index == 2:
                break
    assert not [t for t in threading.enumerate() if t.name.startswith("bwcache")]
    assert "step" not in vars(wan.scheduler)
    np.testing.assert_array_equal(finish(request()).runs[1].frames, whole)


def test_an_error_in_the_pipeline_reaches_the_reader(monkeypatch, wan):
    monkeypatch.setattr(wan.vae, "decode", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        finish(request())


def test_files(tmp_path):
    written = save(finish(request(control=True)), tmp_path / "new" / "folder")
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == [
        "baseline.mp4",
        "cached.mp4",
        "control.mp4",
        "difference.mp4",
        "share.mp4",
        "summary.json",
        "trace.json",
    ]
    for name in ("baseline", "cached", "control", "difference"):
        assert iio.imread(written[name]).shape == (33, 384, 384, 3)
    recorded = TraceFile.load(written["trace"])
    assert predict(recorded.baseline, REUSING).schedule == recorded.cached.schedule


def test_files_are_all_there_or_none(tmp_path, monkeypatch):
    finished = finish(request())
    monkeypatch.setattr(TraceFile, "dumps", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save(finished, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    for bad in (tmp_path / "file", tmp_path / "file" / "below", "/proc/bwcache"):
        with pytest.raises(ConfigError, match="^out: got"):
            check_folder(tmp_path / bad)
    check_folder(tmp_path / "new" / "folder")
    assert not (tmp_path / "new").exists()


def test_compare_and_predict_from_the_command_line(tmp_path, capsys):
    out = ["--out", str(tmp_path), "--json", "--steps", "6", "--device", "cpu"]
    config = ["--threshold", "1000000", "--reuse-interval", "2"]
    assert main(["compare", "--prompt", PROMPT, "--control", *out, *config]) == 0
    captured = capsys.readouterr()
    summary = json.loads(captured.out)
    assert summary == json.loads((tmp_path / "summary.json").read_text())
    assert "baseline: 100%" in captured.err
    assert main(["predict", str(tmp_path / "trace.json"), "--json", *config]) == 0
    prediction = json.loads(capsys.readouterr().out)
    recorded = TraceFile.load(tmp_path / "trace.json")
    assert prediction["schedule"] == recorded.cached.schedule
    assert prediction["steps_reused"] == summary["steps_reused"] == 3
    assert prediction["trigger_step"] == summary["trigger_step"] == 1
    assert prediction["exact"] is True
    other = ["--model", "wan2.1-t2v-1.3b", "--threshold", "0.1"]
    assert main(["predict", str(tmp_path / "trace.json"), *other]) == 2
    assert "allowed is tinyworld, whose trace this is" in capsys.readouterr().err
    assert prediction["predicted_seconds"] > 0


def test_the_command_line_speaks_to_people_too(tmp_path, capsys):
    assert main(["compare", "--prompt", PROMPT, "--steps", "4", "--out", str(tmp_path)]) == 0
    assert "not which one is better" in capsys.readouterr().out
    assert main(["predict", str(tmp_path / "trace.json"), "--threshold", "1000"]) == 0
    said = capsys.readouterr().out
    assert "steps reused (exact)" in said
    assert "as the recorded cached run unless told otherwise: " in said
    usual = models.find("tinyworld").default_preset.config
    assert f"reuse_interval {usual.reuse_interval}" in said


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["--prompt", ""], "prompt"),
        (["--prompt", "x" * 2000], "prompt"),
        (["--prompt", "a red elephant"], "elephant"),
        (["--threshold", "nan"], "threshold"),
        (["--threshold", "-1"], "threshold"),
        (["--threshold", "inf"], "threshold"),
        (["--threshold", "low"], "threshold"),
        (["--steps", "0"], "steps"),
        (["--steps", "1000000"], "steps"),
        (["--model", "sora"], "model"),
        (["--reuse-interval", "often"], "reuse_interval"),
        (["--gate", "never"], "gate"),
        (["--out", "/proc/bwcache"], "out"),
    ],
)
def test_bad_input_is_one_line_and_status_two(arguments, field, tmp_path, capsys):
    given = ["compare", "--prompt", PROMPT, "--out", str(tmp_path / "out"), *arguments]
    try:
        status = main(given)
    except SystemExit as stop:
        status = stop.code
    error = capsys.readouterr().err
    assert status == 2
    assert field in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_difference_by_hand():
    """A tenth of the range everywhere is 20 dB."""
    one = np.full((2, 16, 16, 3), 0.5, np.float32)
    assert difference(one + 0.1, one).psnr_db == pytest.approx(20, abs=1e-3)
    same = difference(one, one)
    assert (same.psnr_db, same.identical, same.lpips) == (None, True, None)
    assert (same.frames_psnr_db, same.frames_ssim) == ([None, None], [1.0, 1.0])
    with pytest.raises(ValueError, match="shape|reference"):
        difference(one[:1], one)


def test_the_verdict_in_words():
    summary = {
        "steps_computed": 13,
        "steps_reused": 17,
        "baseline_seconds": 9.8,
        "cached_seconds": 4.7,
        "speedup": 9.8 / 4.7,
        "psnr_db": 41.6,
        "ssim": 0.99,
    }
    assert sentence(summary) == (
        "Saved 5.1 s of 9.8 s (2.09×); 17 of 30 steps reused; "
        "the two videos hardly differ (PSNR 41.6 dB, SSIM 0.990)."
    )
    slower = sentence({**summary, "cached_seconds": 10.0, "psnr_db": 12.0})
    assert "Saved no time" in slower
    assert "differ strongly" in slower


def test_a_model_that_nobody_has_measured_starts_by_measuring(tmp_path, capsys, monkeypatch):
    spec = replace(models.find("tinyworld"), caching={})
    monkeypatch.setattr(models, "CATALOGUE", {spec.name: spec})
    given = ["compare", "--prompt", PROMPT, "--steps", "12", "--device", "cpu"]
    assert main([*given, "--out", str(tmp_path / "first")]) == 0
    said = capsys.readouterr().out
    assert "Nothing was reused" in said
    tried = re.search(
        r"try threshold (\S+) with reuse interval (\S+), which would have reused (\d+) of 12", said
    )
    assert tried, said
    threshold, interval, reused = tried.groups()
    setting = ["--threshold", threshold, "--reuse-interval", interval]
    assert main([*given, *setting, "--out", str(tmp_path / "second"), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["steps_reused"] == int(reused) > 0
    assert summary["suggestion"] is None
