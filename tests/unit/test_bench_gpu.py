"""`bench gpu`: what becomes of pieces that end well, fail, crash and hang, and its arithmetic."""

import json

import pytest

from bwcache import models
from bwcache.bench import gpu_numbers
from bwcache.bench.gpu import results
from bwcache.bench.gpu.pieces import PARTS, PIECES, Piece, chosen
from bwcache.bench.gpu.runner import listing, run_pieces
from bwcache.bench.gpu.worker import Task
from bwcache.cli import main

FAKE = "tests.unit.fake_gpu_worker"


def piece(name: str, part: str = "cost", limit: float = 60, least: float = 0) -> Piece:
    return Piece(part, name, "for a test", limit, least)


def ran(pieces, folder, small=False):
    """Whether all are done, the lines told, and the entries of both parts used here."""
    lines = []
    out, work = folder / "out", folder / "work"
    done = run_pieces(pieces, 5, out, work, None, small, lines.append, FAKE)
    return done, lines, {**results.read("cost", out), **results.read("recorded", out)}


PIECES_HERE = [
    *(piece("good 1"), piece("good 2"), piece("fails"), piece("good 3"), piece("crashes")),
    *(piece("hangs", limit=0.7), piece("good 4", "recorded")),
]


def test_whatever_a_piece_does_the_others_are_done_and_told(tmp_path):
    done, lines, found = ran(PIECES_HERE, tmp_path)
    assert not done
    statuses = {name: entry["status"] for name, entry in found.items()}
    assert statuses == {
        **{f"good {n}": "done" for n in (1, 2, 3, 4)},
        **{"fails": "failed", "crashes": "crashed", "hangs": "timed out"},
    }
    process = {name: entry["result"]["process"] for name, entry in found.items()}
    assert process["good 1"] == process["good 2"] == process["fails"]
    assert len({process[f"good {n}"] for n in (2, 3, 4)} | {process["hangs"]}) == 4
    assert found["fails"]["error"].endswith("ValueError: so it is")
    assert found["crashes"]["error"] == "the process ended with status -6"
    assert "its limit" in found["hangs"]["error"]
    for name in ("fails", "crashes", "hangs"):
        assert f"doing {name}" in found[name]["log"]
    assert lines[2].endswith("; ValueError: so it is")
    assert "all well" in lines[0]


def test_the_same_call_goes_on_where_the_last_one_stopped(tmp_path):
    _, _, first = ran(PIECES_HERE[:4], tmp_path)
    done, lines, second = ran(PIECES_HERE[:4], tmp_path)
    assert not done
    assert [line.split(": ")[2].split(",")[0] for line in lines] == [
        *("done before", "done before", "failed", "done before")
    ]
    assert second["good 1"] == first["good 1"]
    assert second["fails"]["result"]["before"] == first["fails"]["result"]
    done, lines, _ = ran([PIECES_HERE[0], PIECES_HERE[1]], tmp_path)
    assert done


def test_what_does_not_fit_into_the_minutes_is_left(tmp_path):
    done, lines, found = ran([piece("good 1", least=600, limit=700), piece("good 2")], tmp_path)
    assert not done
    assert "left for another call" in lines[0]
    assert found.keys() == {"good 2"}


def test_every_part_is_listed_with_what_it_took(tmp_path):
    ran([PIECES[1]], tmp_path, small=True)
    text = "\n".join(listing(chosen(None), [tmp_path / "out"]))
    for each in PIECES:
        assert each.name in text
    assert all(part in text for part in PARTS)
    assert text.count("(small)") == 1
    assert text.count("not run yet") == len(PIECES) - 1


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["--minutes", "0"], "minutes"),
        (["--minutes", "inf"], "minutes"),
        (["--minutes", "long"], "minutes"),
        (["--parts", "cost,speed"], "parts"),
        (["--device", "cpu"], "device"),
        (["--device", "tpu"], "device"),
    ],
)
def test_bad_input_is_one_line_and_status_two(arguments, field, tmp_path, capsys):
    out = tmp_path / "out"
    try:
        status = main(["bench", "gpu", "--out", str(out), *arguments])
    except SystemExit as stop:
        status = stop.code
    captured = capsys.readouterr()
    assert status == 2
    assert field in captured.err
    assert captured.err.count("\n") == 1
    assert not out.exists()


def test_a_folder_or_a_results_file_that_is_none(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["bench", "gpu", "--small", "--out", str(tmp_path / "file")]) == 2
    results.path_of("cost", tmp_path).write_text("[1, 2]")
    given = ["--small", "--parts", "cost", "--out", str(tmp_path)]
    assert main(["bench", "gpu", *given]) == 2
    assert main(["bench", "gpu", "--list", *given]) == 2
    assert capsys.readouterr().err.count("\n") == 3


# -- the numbers ---------------------------------------------------------------------------------


def test_the_numbers_of_rounds_by_hand():
    """Ten plain seconds of which nine are in blocks; of five steps two are reused."""
    cost = pytest.importorskip("bwcache.bench.gpu.cost")
    from bwcache.cache.trace import StepRecord, Trace

    def trace(schedule: str) -> Trace:
        steps = tuple(
            StepRecord(
                step_index=i,
                action="reuse" if letter == "R" else "compute",
                reason="",
                indicator=None,
                distances=None,
                seconds=2.0,
                block_seconds=1.8,
                indicator_seconds=0.01,
                blocks="CC",
            )
            for i, letter in enumerate(schedule)
        )
        return Trace(num_steps=5, num_blocks=2, config={}, steps=steps)

    def timed(each: list[float], peak: int, schedule: str | None = None):
        found = None if schedule is None else trace(schedule)
        return cost.Timed(sum(each), each, peak, True, found)

    assert cost.pattern(5) == "CCRRC"
    runs = {
        "plain": timed([2.0] * 5, 100),
        "measured": timed([2.02] * 5, 103, "CCCCC"),
        "paper_style": timed([2.4] * 5, 150),
        "cached": timed([2.02, 2.02, 0.2, 0.2, 2.02], 110, "CCRRC"),
    }
    found = cost.numbers([runs], [])
    assert found["seconds_a_step"] == {"median": 2.0, "min": 2.0, "max": 2.0, "count": 4}
    assert found["indicator_share"] == pytest.approx(0.01)
    assert found["paper_style_share"] == pytest.approx(0.2)
    assert found["block_share"] == pytest.approx(0.9)
    assert found["ideal_speedup_median"] == pytest.approx(10 / (10 - 3.6))
    assert found["efficiency"] == pytest.approx(10 / 6.46 / (10 / 6.4))
    assert found["memory"]["extra_bytes"] == 10
    del runs["paper_style"]  # its memory ran out
    assert cost.numbers([runs], [])["indicator_share"] == pytest.approx(0.01)


def test_fewer_frames_are_ones_that_the_model_can_make():
    cost = pytest.importorskip("bwcache.bench.gpu.cost")
    for entry in PIECES:
        if entry.part == "cost":
            spec = models.find(entry.name.removesuffix(cost.COMPILED))
            counts = cost.frame_counts(spec)
            assert counts[0] == spec.shape.num_frames
            for count in counts:
                spec.shape.check(spec.shape.height, spec.shape.width, count)
            assert counts == sorted(set(counts), reverse=True)


@pytest.mark.parametrize(
    ("pace", "room", "tried"),
    [
        (0.01, 81, [81]),
        (1.0, 81, [81, 25]),  # of 81, 37, 25, 17 … what is expected to be too slow is passed over
        (1.0, 30, [25]),  # where more than 30 frames do not fit into the memory
    ],
)
def test_as_many_frames_as_the_memory_and_the_time_allow(pace, room, tried, tmp_path, monkeypatch):
    """A step takes `pace` times the frames to the power of 1.3, and there are 100 s."""
    cost = pytest.importorskip("bwcache.bench.gpu.cost")
    import torch

    name = "wan2.1-t2v-1.3b"
    task = Task("cost", name, 1000, tmp_path, tmp_path, tmp_path / "a.json", "cpu", False, None)
    measuring, seen = cost.Measuring(task), []
    measuring.result["tried_shapes"] = []
    monkeypatch.setattr(type(measuring), "left", 29.2 * 81**1.3 * 0.3)
    monkeypatch.setattr(measuring, "_report", lambda *_: None)

    def timed(arm, steps, look):
        frames = measuring.spec.shape.num_frames
        if frames > room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        seen.append(frames)
        took = pace * frames**1.3
        look([took])
        return cost.Timed(2 * took, [took, took], None, True)

    monkeypatch.setattr(measuring, "timed", timed)
    assert measuring._fitting_shape() == pytest.approx(pace * tried[-1] ** 1.3)
    assert seen == tried
    assert measuring.spec.shape.num_frames == tried[-1]


def test_no_folder_of_the_machine_is_in_a_result():
    text = 'File "/a/b.c/site-packages/torch/_x/y.py", line 3; /opt/site/diffusers/z.py:7'
    assert results.without_folders({"log": [text]}) == {
        "log": ['File "torch/_x/y.py", line 3; diffusers/z.py:7']
    }


def entry(**more) -> dict:
    return {
        "status": "done",
        "date": "2026-01-02T03:04:05+00:00",
        "seconds": 60.0,
        "machine": {"device": "cuda: H", "driver": "5", "versions": {"torch": "2"}},
        **more,
    }


def test_the_readme_says_what_was_measured_and_what_was_not(tmp_path):
    assert "nothing has been measured yet" in gpu_numbers.cost(tmp_path)
    assert gpu_numbers.report(tmp_path).count(gpu_numbers.NOT_MEASURED) == len(PARTS)
    wan = {
        "rounds": 3,
        "shape": {"width": 832, "height": 480, "frames": 41},
        "full_frames": 81,
        "seconds_a_step": {"median": 1.5},
        **{"ratio_median": 1.004, "ratio_min": 1, "ratio_max": 1.01},
        "paper_style_ratio_median": None,
        **{"efficiency": 0.98, "efficiency_min": 0.97, "efficiency_max": 0.99},
        "memory": {"stack_bytes": 96 * 2**20, "sample_bytes": 2**20},
        "others": {"magcache": {"speedup_median": 2.0}},
    }
    results.keep("cost", "wan2.1-t2v-1.3b", entry(result=wan), tmp_path)
    results.keep("cost", "ltx-video", entry(result=wan, small=True), tmp_path)
    results.keep("correctness", "tests", entry(result={"counts": {"passed": 7}}), tmp_path)
    slow = {"rounds": 0, "tried_shapes": [{"frames": 121, "seconds_a_step": 17.39}]}
    results.keep("cost", "hunyuanvideo-1.5", entry(result=slow, status="timed out"), tmp_path)
    text = gpu_numbers.cost(tmp_path)
    row = "| Wan 2.1 1.3B | 832×480, 41 frames of 81 | 1.50 s | 0.40 % (0.00 to 1.00) |"
    assert f"{row} not measured | 96 + 1.0 | 0.980 (0.970–0.990) |" in text
    assert "| LTX-Video | not measured |" in text
    assert "| HunyuanVideo 1.5 | 121 frames; the rest not measured | 17.4 s |" in text
    report = gpu_numbers.report(tmp_path)
    assert "1 of 1 done, cuda: H, driver 5, torch 2, 2026-01-02" in report
    assert "7 passed" in report
    assert "| Wan 2.1 1.3B | MagCache | 2.00× | does not run |" in report
    json.loads(results.path_of("cost", tmp_path).read_text())
