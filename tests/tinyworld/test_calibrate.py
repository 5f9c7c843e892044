"""What calibrated methods need is measured by one command, and what ships belongs to the model."""

import json

import pytest

from bwcache import METHODS, cached
from bwcache.cache.calibration import SHIPPED, VARIABLE, needed
from bwcache.cli import main
from bwcache.models import find
from bwcache.models.call import call_arguments
from bwcache.models.loading import load

PROMPT = "a red circle moving right on a white background"
CALIBRATED = [name for name, method in METHODS.items() if method.calibrated]
TINY = find("tinyworld")


@pytest.mark.slow
def test_one_command_measures_all_and_runs_find_it(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert main(["calibrate", "all", "tinyworld", "--steps", "8", "--prompt", PROMPT]) == 0
    written = sorted(path.stem for path in (tmp_path / "tinyworld").glob("*.json"))
    assert written == sorted(CALIBRATED)
    made = json.loads((tmp_path / "tinyworld" / "bac.json").read_text())["made"]
    assert made["prompts"] == [PROMPT]
    assert made["flow_shift"] == TINY.scheduler_options["flow_shift"]
    assert {"date", "device", "versions", "shape", "guidance_scale", "first_seed"} <= set(made)
    pipe = load("tinyworld", "cpu")
    arguments = {**call_arguments(TINY, PROMPT, 0, 8), "output_type": "latent"}
    with cached(pipe, METHODS["smoothcache"](0.3)) as run:
        pipe(**arguments)
    assert run.trace.state["calibration"] == "calibrated on tinyworld with 8 steps"
    assert run.trace.steps_reused


@pytest.mark.parametrize("name", CALIBRATED)
def test_what_ships_was_measured_as_the_model_runs_today(name):
    """Where this fails: `bwcache calibrate all tinyworld --steps 20,30,50 --out …`."""
    found = needed("tinyworld", name)
    assert (SHIPPED / "tinyworld" / f"{name}.json").is_file()
    assert TINY.steps in found.by_steps
    assert found.made["weights"] == TINY.version
    assert found.made["flow_shift"] == TINY.scheduler_options["flow_shift"]
    assert found.made["guidance_scale"] == TINY.call["guidance_scale"]
    size = {"height": TINY.shape.height, "width": TINY.shape.width}
    assert found.made["shape"] == {**size, "frames": TINY.shape.num_frames}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (["smoothcache", "tinyworld", "--steps", "3"], "steps"),
        (["smoothcache", "tinyworld", "--steps", "many"], "steps"),
        (["smoothcache", "nothing"], "model"),
        (["smoothcache", "tinyworld", "--prompt", "xyzzy"], "prompt"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(given, field, tmp_path, capsys):
    assert main(["calibrate", *given, "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith(f"bwcache: {field}: ")
    assert "\n" not in said
    assert not (tmp_path / "out").exists()
