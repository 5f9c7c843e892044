"""The leaderboard: which prompts all have in common, its text by hand, its chart, its program."""

import json

import pytest

from bwcache.bench.leaderboard import add_to, of_all, standings
from bwcache.bench.methods_chart import chart_page, figure, with_a_speed
from bwcache.bench.methods_results import leaderboard, main, of_families, read_log
from bwcache.bench.methods_text import leads, on_the_same_work
from bwcache.errors import ConfigError
from tests.unit.test_bench_methods import row

ROWS = [
    row("bwcache_plus/budget", "a", 0.4, 50.0, ours=True),
    row("bwcache_plus/budget", "b", 0.4, 40.0, ours=True),
    row("fora", "a", 0.4, 44.0),
    row("fora", "b", 0.4, 41.0),
    row("uncached/fewer", "a", 0.4, 52.0),
    row("rare", "a", 0.4, 30.0),
]


def logged(tmp_path, rows):
    path = tmp_path / "log.jsonl"
    lines = [{"key": str(at), "set": "report", **row} for at, row in enumerate(rows)]
    lines.append({"key": "x", "set": "choose", "prompt": "a", "config": {}, "compute_share": 0.4})
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def test_on_the_prompts_that_all_have():
    assert {each["prompt"] for each in of_all(ROWS)} == {"a"}
    (found,) = standings(of_all(ROWS))
    order = [one["family"] for one in found["families"]]
    assert order == ["uncached/fewer", "bwcache_plus/budget", "fora", "rare"]
    (all_prompts,) = standings(ROWS)
    assert [one["family"] for one in all_prompts["families"]] == ["bwcache_plus/budget", "fora"]


def test_its_text_by_hand():
    said = on_the_same_work(leaderboard(ROWS), "x.json")
    lines = said.splitlines()
    assert "30 steps, 1 prompts" in lines[0]
    assert lines[2] == "| PSNR, mean / worst prompt, dB | 40% of the work |"
    assert "| uncached/fewer | 52.0 / 52.0 |" in lines
    assert "| **bwcache_plus/budget** | 50.0 / 50.0 |" in lines
    assert (
        "| 30, own | 2 | 40% | +2.5 / +2.5 / -1.0 dB | +2.5 / +2.5 / -1.0 dB | 40.0 dB |" in lines
    )
    assert leads(leaderboard(ROWS)["standings_of_all"][0]["families"]) == (-2.0,) * 3
    assert leads([]) is None


def test_how_far_the_uncached_run_itself_is_off_is_told():
    rows = [*ROWS, row("uncached", "a", 1.0, 99.0, converged_psnr_db=58.25)]
    said = on_the_same_work(leaderboard(rows), "x.json")
    assert "The uncached run itself is 58.2 dB (worst prompt 58.2) from the converged one" in said
    assert "With other steps" not in said
    more = {"converged_psnr_db": 61.0, "steps": 20, "shift": 5.0}
    rows.append(row("uncached", "a", 1.0, 99.0, **more))
    said = on_the_same_work(leaderboard(rows), "x.json")
    assert "With other steps and flow shifts: 20, 5: 61.0 (61.0)." in said


def test_its_chart_has_every_frontier_and_asks_nobody():
    found = leaderboard(ROWS)
    drawn = figure(found["rows_of_all"])
    names = ["bwcache_plus/budget", "uncached/fewer", "fora", "rare"]
    assert [
        trace["name"] for trace in drawn["data"]
    ] == names  # ours, uncached, others by closeness
    assert "1 prompts" in drawn["layout"]["title"]["text"]
    assert drawn["data"][0]["y"] == [50.0]
    assert drawn["data"][1]["line"]["dash"] == "dot"
    of = {row["family"]: row for row in found["rows_of_all"]}
    for kind, count in (("", 30), ("bwcache_plus/", 8), ("uncached/", 8)):
        alike = of["bwcache_plus/budget"] if kind == "bwcache_plus/" else of["fora"]
        many = [{**alike, "family": f"{kind}{at}"} for at in range(count)]
        looks = {(one["marker"]["color"], one["marker"]["symbol"]) for one in figure(many)["data"]}
        assert len(looks) == count  # each is told from the others
    page = chart_page(found)
    assert "Plotly.newPlot" in page
    assert ' src="' not in page.split("<script>")[0]
    with pytest.raises(ConfigError, match="^chart: got '50 steps'"):
        chart_page(found, 50)


def test_a_familys_runs_are_of_one_log_and_what_they_lack_of_the_others():
    """Of the GPU's log 30 steps, with the CPU's speed; another family is the CPU's alone."""
    made = [
        row("fora", "a", 0.4, 44.0, device="gpu", speedup=None),
        row("rare", "a", 0.4, 30.0, device="gpu", speedup=None),
    ]
    known = [
        row("fora", "a", 0.4, 43.0, vmaf=90.0),
        row("fora", "b", 0.4, 41.0, vmaf=80.0),
        row("fora", "a", 0.4, 39.0, steps=20),
        row("only", "a", 0.4, 35.0),
    ]
    found = leaderboard(*of_families([made, known]))
    fora, rare, other, only = found["rows"]
    assert (only["family"], only["device"]) == ("only", "cpu")
    assert found["agreement"]["runs"] == found["agreement"]["same_steps"] == 1
    assert (found["agreement"]["psnr_db_median"], found["agreement"]["psnr_db_most"]) == (1.0, 1.0)
    assert (fora["device"], fora["psnr_db"], fora["prompts"]) == ("gpu", 44.0, 1)
    assert (fora["speedup"], fora["speedup_device"], fora["speedup_prompts"]) == (2.5, "cpu", 2)
    assert (fora["vmaf"], fora["vmaf_worst"], fora["vmaf_device"]) == (85.0, 80.0, "cpu")
    assert (rare["speedup"], rare["speedup_device"], rare["speedup_prompts"]) == (None, None, None)
    assert (other["steps"], other["device"], other["speedup_device"]) == (20, "cpu", "cpu")
    drawn = figure(with_a_speed(found["rows_of_all"], 30, None))
    assert [trace["name"] for trace in drawn["data"]] == ["fora", "only"]
    said = on_the_same_work(found, "x.json")
    assert "Of these runs 1 were made on two devices (`cpu` and `gpu`): 1 computed" in said
    assert "1.00 dB (median; at most 1.00)" in said


def test_as_a_program(tmp_path, monkeypatch, capsys):
    log, out, chart = logged(tmp_path, ROWS), tmp_path / "out.json", tmp_path / "chart.html"
    monkeypatch.setattr("sys.argv", ["x", str(log), "--out", str(out), "--chart", str(chart)])
    main()
    found = json.loads(out.read_text())
    assert len(found["rows"]) == 4
    assert {"date", "commit", "device"} <= set(found["rows"][0])
    assert chart.read_text().startswith("<!doctype html>")
    kept = add_to(out, found["rows"][:1])
    assert (len(kept["rows"]), kept["standings"]) == (4, found["standings"])


@pytest.mark.parametrize("text", ["", "{", "[]\n", '{"key": "x", "set": "choose"}\n', "5\n"])
def test_what_is_no_log_is_refused(tmp_path, text):
    path = tmp_path / "log"
    path.write_text(text)
    with pytest.raises(ConfigError, match="^log: got"):
        read_log(path)
    with pytest.raises(ConfigError, match="^log: got"):
        read_log(tmp_path / "missing")
