"""The ruler for "different": its marks, where a video lies between them, and what is stored."""

import base64
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from bwcache.bench import presets
from bwcache.bench.ruler import medians, worst_frame
from bwcache.cache.methods.bwcache import BWCacheConfig
from bwcache.cli import main
from bwcache.explore.ruler import runs_to_make
from bwcache.models import find
from bwcache.runs import panel_rows as rows
from bwcache.runs import perceptual, ruler
from bwcache.runs.request import MAX_SEED, MAX_STEPS, Request
from bwcache.runs.row_kinds import MAX_BYTES, size
from bwcache.runs.ruler import Mark, Ruler
from bwcache.runs.verdict import TEXTS
from bwcache.testing import FakeBackend

PROMPT = "a red circle moving right on a white background"
FAR_TO_NEAR = (("other_seed", 15.0), ("half_steps", 30.0), ("twice_steps", 40.0))
RULER = Ruler(
    "tinyworld",
    30,
    8,
    (*(Mark(name, psnr, 0.9, 50.0) for name, psnr in FAR_TO_NEAR), Mark("identical", None, 1.0)),
)


@pytest.mark.parametrize(
    ("psnr_db", "place"),
    [
        (None, "identical"),
        (55, "beyond_exact"),
        (40, "beyond_exact"),
        (39.9, "within_half"),
        (30, "within_half"),
        (20, "within_seed"),
        (10, "another_video"),
    ],
)
def test_where_a_video_lies(psnr_db, place):
    assert RULER.place(psnr_db) == place
    assert RULER.words(psnr_db) == TEXTS[f"ruler_{place}"]


def test_a_mark_that_is_identical_is_reached_by_nothing_else():
    """Where twice the steps change no pixel, only identical videos are as close."""
    marks = (replace(RULER.marks[2], psnr_db=None), *RULER.marks[:2])
    assert replace(RULER, marks=marks).place(90) == "within_half"


def test_the_runs_that_the_marks_need():
    assert runs_to_make(Request(PROMPT, steps=30, seed=4)) == {
        "other_seed": (5, 30),
        "half_steps": (4, 15),
        "twice_steps": (4, 60),
    }
    bounds = runs_to_make(Request(PROMPT, steps=MAX_STEPS, seed=MAX_SEED))
    assert bounds["other_seed"][0] == MAX_SEED - 1
    assert bounds["twice_steps"][1] == MAX_STEPS


def test_medians_are_taken_mark_by_mark():
    """Of 15, 17 and 30 dB that is 17; a VMAF that one prompt lacks is none."""
    others = [
        replace(RULER, marks=(replace(RULER.marks[0], psnr_db=psnr, vmaf=vmaf), *RULER.marks[1:]))
        for psnr, vmaf in ((17.0, 40.0), (30.0, None))
    ]
    found = medians([RULER, *others])
    assert (found.marks[0].psnr_db, found.marks[0].vmaf) == (17.0, None)
    assert (found.marks[1].psnr_db, found.marks[1].vmaf) == (30.0, 50.0)
    assert found.marks[3].psnr_db is None
    assert found.prompts == 3
    assert Ruler.from_dict(found.as_dict()) == found


def test_pictures_show_the_frame_that_differs_most():
    still = np.zeros((5, 4, 4, 3), np.float32)
    moved = still.copy()
    moved[3] = 0.5
    assert worst_frame([still, moved], still) == 3
    assert worst_frame([], still) == 2


def test_what_nobody_has_measured_has_no_ruler():
    assert ruler.ruler_of("wan2.1-t2v-1.3b") is None
    assert ruler.ruler_of("tinyworld", random_weights=True) is None
    assert ruler.ruler_of("tinyworld").model == "tinyworld"


def test_presets_are_the_least_work_on_their_side_of_a_mark():
    """Twice the steps are 40 dB away, half of them 30, another seed 20: 35 and 25 are between."""

    def entry(computed, psnr, control=0.0, reuse="residual"):
        numbers = {"steps_computed": computed, "psnr_db": psnr, "control_psnr_db": control}
        return {"config": {"reuse": reuse}, **numbers}

    marks = (("other_seed", 20), ("half_steps", 30), ("twice_steps", 40), ("identical", None))
    made = Ruler("m", 30, 8, tuple(Mark(name, psnr, 1.0) for name, psnr in marks))
    safe, balanced, fast = entry(17, 41, 0, "forecast"), entry(12, 36), entry(9, 26, 27)
    others = [
        entry(20, 50),
        entry(13, 39),
        entry(8, 24),
        entry(11, 37, 38),  # as many uncached steps are closer
        entry(10, 27),
    ]
    table = [safe, balanced, fast, *others]
    assert presets.pick(table, made) == {"Safe": safe, "Balanced": balanced, "Fast": fast}
    assert presets.pick([entry(12, 45), entry(9, 33)], made) == {
        "Safe": entry(12, 45),
        "Balanced": entry(9, 33),
    }


@pytest.mark.usefixtures("small_model")
def test_a_ruler_is_measured_and_stored(tmp_path, capsys, monkeypatch):
    """What is written is what `measured` reads: marks from far to near, a picture a preset."""
    monkeypatch.setattr(perceptual, "vmaf", lambda *_: perceptual.Score(50.0))
    out = tmp_path / "tinyworld.json"
    assert main(["bench", "ruler", "--steps", "4", "--prompt", PROMPT, "--out", str(out)]) == 0
    monkeypatch.setattr(ruler, "MEASURED", tmp_path)
    ruler.measured.cache_clear()
    found = ruler.measured("tinyworld")
    ruler.measured.cache_clear()
    assert [mark.name for mark in found.ruler.marks] == list(ruler.MARKS)
    assert found.ruler.marks[-1].psnr_db is None
    assert found.ruler.marks[-1].vmaf == 50
    assert (found.ruler.prompts, found.ruler.steps) == (1, 4)
    spec = find("tinyworld")
    assert list(found.methods) == ["bwcache", "bwcache_plus"]
    for name, method in found.methods.items():
        assert (method.prompts, method.prompt, len(method.noise)) == (1, PROMPT, 4)
        assert [answer.name for answer in method.answers] == list(spec.facts(name).presets)
        assert {len(answer.schedule) for answer in method.answers} == {4}
        for shown in (method.picture, *(answer.picture for answer in method.answers)):
            assert base64.b64decode(shown)[8:12] == b"WEBP"
    said = capsys.readouterr().out
    assert "twice steps" in said
    assert "identical" in said


@pytest.mark.usefixtures("small_model")
def test_one_methods_answers_are_measured_anew_and_the_rest_stays(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(perceptual, "vmaf", lambda *_: perceptual.Score(50.0))
    out = tmp_path / "tinyworld.json"
    again = ["bench", "ruler", "--prompt", PROMPT, "--methods", "bwcache_plus", "--out", str(out)]
    assert main([*again, "--steps", "4"]) == 0  # no file yet: the marks, too
    first = json.loads(out.read_text())
    assert list(first["methods"]) == ["bwcache_plus"]
    stored = {
        **first,
        "ruler": {"marks": [], "kept": True},
        "methods": {"bwcache": {"answers": []}},
    }
    out.write_text(json.dumps(stored))
    assert main([*again, "--steps", "4"]) == 0
    found = json.loads(out.read_text())
    assert (found["ruler"], found["methods"]["bwcache"]) == (stored["ruler"], {"answers": []})
    shown = [each["schedule"] for each in found["methods"]["bwcache_plus"]["answers"]]
    assert shown == [each["schedule"] for each in first["methods"]["bwcache_plus"]["answers"]]
    before = out.read_bytes()
    capsys.readouterr()
    assert main([*again, "--steps", "5"]) == 2  # of other runs
    assert "out: got 4; allowed is a result whose steps is 5" in capsys.readouterr().err
    assert main([*again[:5], "fora", "--out", str(out), "--steps", "4"]) == 2
    assert "methods: got 'fora'; allowed is bwcache, bwcache_plus" in capsys.readouterr().err
    assert out.read_bytes() == before
    for other in ("{", "[1]", '{"model": "tinyworld"}'):  # is not overwritten
        out.write_text(other)
        assert main([*again, "--steps", "4"]) == 2
        assert "out: got" in capsys.readouterr().err
        assert out.read_text() == other


def test_a_run_has_its_own_ruler_on_the_command_line(tmp_path, capsys, monkeypatch, small_model):
    monkeypatch.setattr(perceptual, "vmaf", lambda *_: perceptual.Score(50.0))
    given = ["--prompt", PROMPT, "--steps", "6", "--threshold", "1e6", "--reuse-interval", "1"]
    assert main(["compare", *given, "--ruler", "--out", str(tmp_path)]) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    found = Ruler.from_dict(summary["ruler"])
    assert (found.prompts, found.steps) == (1, 6)
    assert summary["ruler"]["place"] == found.place(summary["psnr_db"])
    said = capsys.readouterr().out
    assert f"How different: {summary['ruler']['words']}" in said
    assert re.search(rf"> this cached video +{summary['psnr_db']:.1f} dB  VMAF 50.0", said)


def test_the_panel_is_told_where_the_video_lies():
    *_, finished = FakeBackend()(Request(PROMPT, steps=12, config=BWCacheConfig(0.2, 2)))
    (row,) = rows.ruler(finished.summary)
    stored = ruler.ruler_of("tinyworld")
    assert row["place"] == stored.place(finished.summary.psnr_db)
    assert [mark[0] for mark in row["marks"]] == list(ruler.MARKS)
    assert size(row) <= MAX_BYTES
    assert not list(rows.ruler(replace(finished.summary, random_weights=True)))
