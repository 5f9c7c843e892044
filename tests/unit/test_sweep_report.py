"""What is said of a sweep: numbers by setting, the table, the report; and its videos' names."""

import json
import re

import pytest

from bwcache.cache.methods.bwcache import BWCacheConfig
from bwcache.cache.methods.first_block_cache import FirstBlockCacheConfig
from bwcache.errors import ConfigError
from bwcache.explore.sweep import report as reporting
from bwcache.explore.sweep.ledger import Ledger
from bwcache.explore.sweep.plan import Group, Plan
from bwcache.explore.sweep.report import report, write_report
from bwcache.explore.sweep.tally import tally
from bwcache.explore.sweep.videos import SETTINGS, UNCACHED, Videos, folder_name
from bwcache.explore.sweep.worker import work
from bwcache.testing import FakeBackend

SLOW, FAST = BWCacheConfig(0.05), FirstBlockCacheConfig(0.1)
PROMPTS = ("a <b>bold</b> | circle", "two", "three", "four", "five")


def plan_of(prompts=PROMPTS, settings=(SLOW, FAST), models=("tinyworld",)) -> Plan:
    groups = [Group(model, prompt, 7, 4) for model in models for prompt in prompts]
    return Plan(groups, dict.fromkeys(models, settings))


def row(plan: Plan, job, **numbers) -> dict:
    usual = {"speedup": 2.0, "psnr_db": 30.0, "ssim": 0.9, "compute_share": 0.5, "vmaf": None}
    about = {"device": "cpu: a test", "versions": {"torch": "2"}, "vmaf_reason": "no libvmaf"}
    return plan.described(job) | usual | about | numbers


@pytest.fixture
def ledger(tmp_path):
    """Two settings on five prompts: one row each but for one that was given up."""
    plan = plan_of()
    found = Ledger(plan, tmp_path / "rows.jsonl", retries=0)
    for group in range(5):
        slow, fast = plan.jobs(group)
        found.finish(slow, row(plan, slow, speedup=1.0 + group, psnr_db=40.0 + group))
        if group == 0:
            found.fail(fast, RuntimeError("</script> & such"))
        elif group == 1:
            found.finish(fast, row(plan, fast, psnr_db=None, identical=True, busy=True))
        else:
            found.finish(fast, row(plan, fast))
    stray = {"prompt": "of another sweep", "config": {}, "speedup": 99.0}
    found.results.append(stray)
    return found


def gathered(ledger, metrics=("psnr", "ssim")):
    return tally(ledger, ledger.results.read(), metrics)


def test_medians_and_quartiles_by_setting(ledger):
    slow, fast = gathered(ledger).settings
    assert slow.quartiles("speedup") == (2.0, 3.0, 4.0)
    assert slow.quartiles("psnr_db") == (41.0, 42.0, 43.0)
    assert (slow.videos, slow.failed, fast.videos, fast.failed) == (5, 0, 4, 1)
    assert (fast.identical, fast.busy) == (1, 1)
    assert slow.shown("speedup") == "3.00× (2.00–4.00)"
    assert slow.shown("psnr_db") == "42.0 dB (41.0–43.0)"
    assert fast.shown("speedup") == "2.00×"
    assert fast.shown("psnr_db") == "30.0 dB, 1 identical"


def test_the_table(ledger):
    found = gathered(ledger, ("psnr", "vmaf"))
    head, slow, fast = found.table()
    assert head == ["setting", "videos", "speed-up", "computed", "PSNR", "VMAF", "failed"]
    assert slow[0] == "BWCache threshold 0.05"
    assert fast == ["First Block Cache threshold 0.1", "4", *fast[2:5], "–", "1"]
    assert "9 of 10 jobs done, 5 uncached runs shared, 1 failed" in found.sentence
    assert "Measured on cpu: a test (9 videos)" in found.sentence
    assert any(note == "VMAF: no libvmaf (9 videos)." for note in found.notes())
    text = found.markdown()
    assert "failed (tries: 1)" in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1


def test_several_models_have_a_column(tmp_path):
    plan = plan_of(models=("tinyworld", "wan2.1-t2v-1.3b"))
    found = tally(Ledger(plan, tmp_path / "rows.jsonl"), [], ("psnr",))
    assert [line[0] for line in found.table()] == [
        *("model", "tinyworld", "tinyworld", "wan2.1-t2v-1.3b", "wan2.1-t2v-1.3b"),
    ]
    assert "nothing yet" in found.sentence


def test_the_report_is_one_file_that_asks_nobody(ledger, tmp_path):
    path = tmp_path / "report.html"
    write_report(gathered(ledger), path)
    text = path.read_text(encoding="utf-8")
    assert text.count("<title>Sweep: 9 videos, 2 settings</title>") == 1
    assert not re.search(r"<(script|link|img|iframe)[^>]*(src|href)=(?!.data:)", text)
    assert "Every number here is measured" in text
    assert "cpu: a test" in text
    assert "a &lt;b&gt;bold&lt;/b&gt; | circle" in text
    assert "&lt;/script&gt; &amp; such" in text
    figure = json.loads(re.search(r"const figure = (\{.*\});", text)[1])
    assert [trace["name"] for trace in figure["data"]] == ["BWCache", "First Block Cache"]
    slow = figure["data"][0]
    assert (slow["x"], slow["y"]) == ([42.0], [3.0])
    assert (slow["error_x"]["array"], slow["error_y"]["arrayminus"]) == ([1.0], [1.0])
    assert [one.name for one in tmp_path.iterdir() if "writing" in one.name] == []


def test_without_plotly_it_lacks_the_chart_alone(ledger, monkeypatch):
    monkeypatch.setattr(reporting.importlib.util, "find_spec", lambda name: None)
    text = report(gathered(ledger))
    assert "The chart needs Plotly" in text
    assert "3.00× (2.00–4.00)" in text
    assert "<script" not in text


# -- videos --------------------------------------------------------------------------------------


def test_videos_in_vbenchs_layout(tmp_path):
    """Nothing but `PROMPT-INDEX.mp4` in a folder: VBench takes the first file's suffix for all."""
    groups = [
        Group("tinyworld", "In a still frame, a sign.", seed, 4, i) for i, seed in ((0, 9), (1, 4))
    ]
    plan = Plan(groups, {"tinyworld": (SLOW, FAST)})
    videos = Videos(tmp_path / "videos", plan, "vbench")
    videos.begin()
    ledger = Ledger(plan, tmp_path / "rows.jsonl", complete=videos.complete)
    list(work(ledger, FakeBackend(), save=videos.save))
    videos.close()
    names = ["In a still frame, a sign.-0.mp4", "In a still frame, a sign.-1.mp4"]
    folders = {path.name: path for path in (tmp_path / "videos" / "tinyworld").iterdir()}
    said = json.loads(folders.pop(SETTINGS).read_text())
    assert folders.keys() == said.keys() == {UNCACHED, folder_name(SLOW), folder_name(FAST)}
    assert said[folder_name(FAST)] == {"method": FAST.name, "config": FAST.as_dict()}
    for folder in folders.values():
        assert sorted(path.name for path in folder.iterdir()) == names
    assert [path.name for path in (tmp_path / "videos").iterdir()] == ["tinyworld"]
    lost = folders[folder_name(SLOW)] / names[1]
    lost.unlink()
    backend = FakeBackend()
    again = Ledger(plan, tmp_path / "rows.jsonl", complete=videos.complete)
    assert again.closed == 3  # its row is there, its video is not
    list(work(again, backend, save=videos.save))
    assert len(backend.requests) == 1
    assert lost.exists()
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 4


def test_videos_of_any_prompt_have_a_name(tmp_path):
    prompts = ("a/b" * 100, "../../etc", "日本", "a b")
    plan = plan_of(prompts=prompts, settings=(SLOW,))
    videos = Videos(tmp_path, plan)
    paths = [path for group in range(4) for path in videos._paths(next(plan.jobs(group)))]
    assert len(set(paths)) == 8
    assert all(path.resolve().is_relative_to(tmp_path) for path in paths)
    assert all(len(path.name) < 100 for path in paths)


@pytest.mark.parametrize("prompt", ["a/b", "x" * 252, "é" * 130])
def test_a_prompt_that_vbenchs_layout_has_no_name_for(prompt, tmp_path):
    with pytest.raises(ConfigError, match="^prompts: got .*255 bytes"):
        Videos(tmp_path, plan_of(prompts=(prompt,)), "vbench")


def test_one_name_is_one_video(tmp_path):
    groups = [Group("tinyworld", "a", 0, steps) for steps in (4, 5)]
    plan = Plan(groups, {"tinyworld": (SLOW,)})
    with pytest.raises(ConfigError, match="a name of their own"):
        Videos(tmp_path, plan, "vbench")
    Videos(tmp_path, plan)
