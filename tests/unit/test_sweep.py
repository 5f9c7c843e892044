"""Searching over a fake comparison; searches and sweeps from the command line."""

import io
import json
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from bwcache import BWCacheConfig, ConfigError
from bwcache.cache.methods.first_block_cache import FirstBlockCacheConfig
from bwcache.cli import build_parser, main, sweep_jobs
from bwcache.cli.sweep import plan_of
from bwcache.explore.find_setting import (
    BaselineStarted,
    SearchFinished,
    SearchStarted,
    Trial,
    TrialStarted,
    search,
)
from bwcache.explore.results_file import ResultsFile
from bwcache.explore.search import Goal
from bwcache.models import find
from bwcache.runs.baselines import BaselineStore as Store
from bwcache.runs.events import StepDone
from bwcache.runs.request import Request
from bwcache.runs.video import STRIP_BYTES, filmstrip
from bwcache.testing import FakeBackend

PROMPT = "a red circle moving right on a white background"
OTHER = "a blue square bouncing on a gray background"
REQUEST = Request(PROMPT)


def searched(goal: str, backend=None, **options) -> list:
    events = search(REQUEST, Goal.parse(goal), backend or FakeBackend(), **options)
    return [event for event in events if not isinstance(event, StepDone)]


def test_another_method_is_refused_before_anything_runs():
    other = replace(REQUEST, config=FirstBlockCacheConfig())
    with pytest.raises(ConfigError, match="^method: got 'first_block_cache'; allowed is bwcache"):
        next(search(other, Goal("psnr", 30.0)))


# -- the search --------------------------------------------------------------------------------


def test_events_of_a_search_come_in_order():
    events = searched("psnr=40")
    kinds = [type(event) for event in events]
    trials = kinds.count(Trial)
    pairs = [TrialStarted, Trial] * trials
    assert kinds == [BaselineStarted, SearchStarted, *pairs, SearchFinished]
    assert [e.number for e in events if isinstance(e, Trial)] == list(range(1, trials + 1))
    left = [e.seconds_left for e in events if isinstance(e, TrialStarted)]
    assert left == sorted(left, reverse=True)
    assert events[1].candidates > trials
    assert not events[1].remembered
    assert events[-1].baseline_runs == 1
    assert events[-1].recommendation.cached_runs == trials
    assert all(
        len(e.filmstrip) <= STRIP_BYTES for e in events if isinstance(e, SearchStarted | Trial)
    )


def test_the_uncached_run_is_made_once_and_remembered():
    backend, store = FakeBackend(), Store()
    trials = searched("psnr=40", backend, store=store)[-1].recommendation.cached_runs
    assert len(backend.requests) == 1 + trials
    assert backend.closed == 1  # the one whose cached run was of no use
    again = searched("psnr=45", backend, store=store)
    assert not isinstance(again[0], BaselineStarted)
    assert again[0].remembered
    assert again[-1].baseline_runs == 0
    assert backend.closed == 1
    *_, finished = backend(REQUEST, store)
    assert finished.summary.baseline_remembered


def test_a_trial_does_what_was_foretold():
    for event in searched("speedup=2"):
        if isinstance(event, Trial):
            counts = event.candidate.schedule.count("C"), event.candidate.schedule.count("r")
            assert counts == (event.summary["steps_computed"], event.summary["steps_reused"])
            assert event.measured.speedup == event.summary["speedup"]


@pytest.mark.parametrize("goal", ["psnr=37", "psnr=40", "psnr=50", "speedup=1.5", "speedup=3"])
@pytest.mark.parametrize("reuse", ["residual", "forecast"])
def test_a_rerun_of_what_is_recommended_meets_the_goal(goal, reuse):
    request = replace(REQUEST, config=BWCacheConfig(reuse=reuse))
    *_, finished = search(request, Goal.parse(goal), FakeBackend())
    found = finished.recommendation
    assert found.goal_met
    assert found.candidate.config.reuse == reuse
    *_, again = FakeBackend()(replace(request, config=found.candidate.config), Store())
    wanted, value = goal.split("=")
    by_work = 1 / again.summary.compute_share
    assert {"psnr": again.summary.psnr_db, "speedup": by_work}[wanted] >= float(value)
    if found.confirmed:
        assert again.summary.speedup >= float(value)


@pytest.mark.parametrize("goal", ["psnr=99", "speedup=99"])
def test_a_goal_out_of_reach_ends_with_a_sentence(goal):
    finished = searched(goal)[-1]
    assert not finished.recommendation.goal_met
    assert finished.recommendation.sentence.startswith("No setting tried")


def test_closing_a_search_closes_its_comparison():
    backend = FakeBackend()
    events = search(REQUEST, Goal("psnr", 40), backend)
    for event in events:
        if isinstance(event, StepDone) and event.run == "cached":
            break
    events.close()
    assert backend.closed == 2


def test_an_error_in_a_trial_reaches_the_reader():
    with pytest.raises(RuntimeError, match="told to fail"):
        searched("psnr=40", FakeBackend(fail_at=4))


def test_a_run_without_any_choice():
    request = Request(PROMPT, steps=2)
    *_, finished = search(request, Goal("psnr", 30), FakeBackend())
    assert finished.recommendation.candidate is None
    assert finished.summary is None


@pytest.mark.parametrize("shape", [(17, 64, 64, 3), (81, 30, 52, 3), (1, 8, 8, 3), (3, 9, 400, 3)])
def test_a_filmstrip_is_small_and_a_picture(shape):
    frames = np.random.default_rng(0).random(shape, np.float32)
    strip = filmstrip(frames / 3 + 1 / 3)
    if strip is not None:
        assert len(strip) <= STRIP_BYTES
        assert Image.open(io.BytesIO(strip)).height == 48
    flat = filmstrip(np.full(shape, 0.5, np.float32))
    assert flat is not None


# -- the command line, on a small random-weight pipeline -----------------------------------------


@pytest.fixture
def _one_process(monkeypatch, small_model):
    monkeypatch.delenv("WORLD_SIZE", raising=False)


def sweep_line(*arguments: object) -> int:
    return main(["sweep", "--steps", "6", "--device", "cpu", *map(str, arguments)])


@pytest.mark.usefixtures("_one_process")
def test_a_goal_from_the_command_line(tmp_path, capsys):
    out = tmp_path / "trials.jsonl"
    assert sweep_line("--prompt", PROMPT, "--goal", "psnr=5", "--json", "--out", out) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["goal_met"] is True
    assert found["psnr_db"] >= 5
    assert found["baseline_runs"] == 1
    assert len(ResultsFile(out).rows()) == found["cached_runs"]
    assert found["sentence"].startswith("Use threshold")
    names = {"threshold", "reuse_interval", "speedup", "runs_saved", "model", "device", "versions"}
    assert names <= set(found)
    config = ["--threshold", found["threshold"], "--reuse-interval", found["reuse_interval"]]
    again = ["compare", "--prompt", PROMPT, "--steps", "6", "--json", "--out", tmp_path / "again"]
    assert main([*map(str, [*again, *config])]) == 0
    rerun = json.loads(capsys.readouterr().out)
    assert rerun["psnr_db"] == found["psnr_db"]


@pytest.mark.usefixtures("_one_process")
def test_a_goal_in_words(capsys):
    assert sweep_line("--prompt", PROMPT, "--goal", "psnr=100", "--trials", 2) == 0
    assert capsys.readouterr().out.startswith("No setting tried stays at 100 dB")


@pytest.mark.usefixtures("_one_process")
def test_a_sweep_from_the_command_line(tmp_path, capsys):
    prompts, out = tmp_path / "prompts.txt", tmp_path / "rows.jsonl"
    prompts.write_text(f"{PROMPT}\n\n{OTHER}\n{PROMPT}\n")
    given = ["--prompts", prompts, "--thresholds", "0.1,1000000", "--intervals", "1", "--out", out]
    assert sweep_line(*given) == 0
    assert "4 rows of this sweep" in capsys.readouterr().out
    assert len(out.read_text().splitlines()) == 4
    before = out.read_text()
    assert sweep_line(*given, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["rows"], said["jobs"], said["uncached_runs"], said["failed"]) == (4, 4, 2, 0)
    assert said["settings"][0]["psnr_db"] is None or said["settings"][0]["videos"] == 2
    assert out.read_text() == before
    assert "| BWCache threshold 0.1" in (tmp_path / "rows.summary.md").read_text()
    assert "Plotly.newPlot" in (tmp_path / "rows.html").read_text()


@pytest.mark.usefixtures("_one_process")
def test_methods_settings_seeds_and_videos(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("bwcache.runs.compare.compare", fake := FakeBackend())
    monkeypatch.setattr(
        "bwcache.cli.sweep_jobs.partial", lambda made, as_seen: asked.append(as_seen) or made
    )
    asked, out = [], tmp_path / "rows.jsonl"
    given = ["--prompt", PROMPT, "--seeds", "0,7", "--methods", "bwcache,first_block_cache"]
    given += ["--set", "first_block_cache.threshold=0.05,0.1", "--set", "max_consecutive=3"]
    given += ["--set", "bwcache.warm_up_steps=0,2", "--metrics", "psnr,vmaf", "--out", out]
    videos = tmp_path / "videos"
    assert sweep_line(*given, "--videos", videos, "--layout", "vbench", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["rows"] == len(fake.requests) == 2 * (2 + 2)
    assert said["uncached_runs"] == 2
    assert asked == [["vmaf"]]
    assert {"psnr_db", "vmaf"} <= said["settings"][0].keys()
    assert "ssim" not in said["settings"][0]
    of_bwcache = [r.config for r in fake.requests if r.config.name == "bwcache"]
    preset = find("tinyworld").default_preset.config
    assert {config.threshold for config in of_bwcache} == {preset.threshold}
    assert {config.reuse for config in of_bwcache} == {preset.reuse}
    assert {r.config.max_consecutive for r in fake.requests} == {3}
    assert {config.warm_up_steps for config in of_bwcache} == {0, 2}
    assert sorted({r.seed for r in fake.requests}) == [0, 7]
    folders = [path for path in (videos / "tinyworld").iterdir() if path.is_dir()]
    assert len(folders) == 5
    names = {f"{PROMPT}-{index}.mp4" for index in range(2)}
    assert all({path.name for path in folder.iterdir()} == names for folder in folders)


@pytest.mark.usefixtures("_one_process")
def test_sigterm_ends_a_sweep_after_its_job(tmp_path, capsys, monkeypatch):
    backend = FakeBackend()

    def compare(request, store, device):
        os.kill(os.getpid(), signal.SIGTERM)
        yield from backend(request, store, device)

    monkeypatch.setattr("bwcache.runs.compare.compare", compare)
    monkeypatch.setattr("bwcache.cli.sweep_jobs.partial", lambda made, as_seen: made)
    out = tmp_path / "rows.jsonl"
    given = ["--prompt", PROMPT, "--thresholds", "0.1,0.2,0.3", "--out", out]
    assert sweep_line(*given) == 143
    assert "2 of 3 jobs are left" in capsys.readouterr().err
    assert len(out.read_text().splitlines()) == 1
    assert not (tmp_path / "rows.html").exists()
    monkeypatch.setattr("bwcache.runs.compare.compare", backend)
    assert sweep_line(*given) == 0
    assert len(out.read_text().splitlines()) == 3


@pytest.mark.usefixtures("_one_process")
def test_the_bar_counts_what_all_processes_do(tmp_path, capsys, monkeypatch):
    shown = []

    class Bar(sweep_jobs.tqdm):
        def update(self, n=1):
            super().update(n)
            shown.append((self.initial, self.n, self.total))

    backend, out = FakeBackend(), tmp_path / "rows.jsonl"
    given = ["--prompt", PROMPT, "--thresholds", "0.1,0.2,0.3,0.4", "--out", out]
    plan = plan_of(build_parser().parse_args(["sweep", "--steps", "6", *map(str, given)]))

    def other(threshold: float) -> None:  # what another process does
        (job,) = [job for job in plan.jobs(0) if plan.config(job).threshold == threshold]
        *_, finished = backend(plan.request(job))
        ResultsFile(out).append(finished.summary.as_dict())

    def compare(request, store, device):
        yield from backend(request, store, device)
        if request.config.threshold == 0.2:
            other(0.4)

    other(0.1)
    monkeypatch.setattr(sweep_jobs, "tqdm", Bar)
    monkeypatch.setattr("bwcache.runs.compare.compare", compare)
    monkeypatch.setattr(sweep_jobs, "partial", lambda made, as_seen: made)
    assert sweep_line(*given) == 0
    assert {(initial, total) for initial, _, total in shown} == {(1, 4)}
    counted = list(dict.fromkeys(n for _, n, _ in shown))
    assert counted == [1, 3, 4]  # 0.2 and the other's 0.4 at once, then 0.3
    assert [request.config.threshold for request in backend.requests] == [0.1, 0.2, 0.4, 0.3]


@pytest.mark.usefixtures("_one_process")
def test_the_exit_status_tells_of_failed_jobs(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("bwcache.runs.compare.compare", FakeBackend(fail_at=2))
    monkeypatch.setattr("bwcache.cli.sweep_jobs.partial", lambda made, as_seen: made)
    given = ["--prompt", PROMPT, "--thresholds", "0.1", "--out", tmp_path / "rows.jsonl"]
    assert sweep_line(*given, "--retries", "1") == 1
    out, err = capsys.readouterr()
    assert "0 of 1 jobs done" in out
    assert "failed (tries: 2): BWCache threshold 0.1" in out
    assert "the fake was told to fail" in out
    assert err.count("went wrong") == 2
    assert "the fake was told to fail" in (tmp_path / "rows.html").read_text()
    monkeypatch.setattr("bwcache.runs.compare.compare", FakeBackend())
    assert sweep_line(*given) == 0


SWEEP = ["--prompt", PROMPT, "--thresholds", "0.1", "--out", "x.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["--prompt", PROMPT], "thresholds"),
        (["--goal", "psnr=30"], "prompt"),
        (["--prompt", PROMPT, "--prompts", "p.txt", "--goal", "psnr=30"], "prompt"),
        (["--prompt", PROMPT, "--goal", "close"], "goal"),
        (["--prompt", PROMPT, "--goal", "psnr=-3"], "goal"),
        (["--prompt", "a red elephant", "--goal", "psnr=30"], "elephant"),
        (["--prompt", "", "--goal", "psnr=30"], "prompt"),
        (["--prompts", "nowhere.txt", "--goal", "psnr=30"], "prompts"),
        (["--prompt", PROMPT, "--goal", "psnr=30", "--reuse", "all"], "reuse"),
        (["--prompt", PROMPT, "--goal", "psnr=30", "--trials", "0"], "trials"),
        (["--prompt", PROMPT, "--goal", "psnr=30", "--steps", "1"], "steps"),
        (["--prompt", PROMPT, "--goal", "psnr=30", "--seed", "-1"], "seed"),
        (["--prompt", PROMPT, "--goal", "psnr=30", "--model", "sora"], "model"),
        (["--prompt", PROMPT, "--thresholds", "0.1"], "out"),
        (["--prompt", PROMPT, "--thresholds", "low", "--out", "x.jsonl"], "thresholds"),
        (["--prompt", PROMPT, "--thresholds", "-1", "--out", "x.jsonl"], "threshold"),
        (["--prompt", PROMPT, "--thresholds", "1", "--intervals", "0", "--out", "x"], "interval"),
        (["--prompt", PROMPT, "--thresholds", "1", "--out", "no/such/x.jsonl"], "out"),
        ([*SWEEP, "--metrics", "psnr,beauty"], "metrics"),
        ([*SWEEP, "--retries", "-1"], "retries"),
        ([*SWEEP, "--seeds", "4-1"], "seed"),
        ([*SWEEP, "--seeds", "one"], "seed"),
        ([*SWEEP, "--models", "tinyworld,sora"], "model"),
        ([*SWEEP, "--methods", "bwcache,magic"], "method"),
        ([*SWEEP, "--methods", "teacache"], "thresholds"),
        ([*SWEEP, "--set", "threshold"], "set"),
        ([*SWEEP, "--method", "bwcache", "--set", "teacache.threshold=1"], "set"),
        ([*SWEEP, "--set", "bwcache.magic=1"], "set"),
        ([*SWEEP, "--set", "gate=sometimes"], "gate"),
        ([*SWEEP, "--dimension", "scene"], "dimension"),
        ([*SWEEP, "--model", "wan2.2-i2v-a14b"], "image"),
        (["--prompt", PROMPT, "--goal", "psnr=30", "--method", "fora"], "method"),
        ([*SWEEP, "--videos", "/dev/null"], "videos"),
        ([*SWEEP, "--layout", "mine"], "layout"),
        (["--prompts", "/dev/null", "--thresholds", "1", "--out", "x.jsonl"], "prompts"),
    ],
)
def test_bad_input_is_one_line_and_status_two(arguments, field, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        status = main(["sweep", *arguments])
    except SystemExit as stop:
        status = stop.code
    captured = capsys.readouterr()
    assert status == 2
    assert field in captured.err
    assert captured.err.count("\n") == 1
    assert not captured.out
    assert os.listdir(tmp_path) == []


def test_a_goal_has_one_prompt(tmp_path, capsys):
    prompts = tmp_path / "prompts.txt"
    prompts.write_text(f"{PROMPT}\n{OTHER}\n")
    assert main(["sweep", "--prompts", str(prompts), "--goal", "psnr=30"]) == 2
    assert capsys.readouterr().err.startswith("bwcache: prompts: got '2 prompts'")
