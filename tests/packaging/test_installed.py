"""The wheel is enough: installed into an empty environment, it works from any folder."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import bwcache

from ..environments import ROOT, clean, fresh_python, pip

pytestmark = pytest.mark.slow
PROMPT = "a red circle moving right on a white background"
NOT_INSTALLED = "bwcache/tinyworld_training/"
ASSETS = ("assets/tinyworld/", "assets/tinyworld-skip/", "assets/runs/", "assets/prompts/")
BUILD_THE_PAGE = """
import bwcache.files
from bwcache.runs.compare import compare
from bwcache.runs.recorded import RUNS, listing
from bwcache.ui import build

print(bwcache.files.ASSETS)
assert listing(RUNS)
build(compare, runs=RUNS)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built as anybody would build it: by pip, in isolation, from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    pip(Path(sys.executable), "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    (made,) = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory) -> Path:
    """Of an environment with the wheel and what it asks for."""
    return fresh_python(tmp_path_factory.mktemp("environment") / "venv", str(wheel))


def run(command: list[str], folder: Path) -> str:
    """What a program prints, started in that folder, where the hub cannot be asked."""
    environment = clean() | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_it_holds_what_is_read_at_run_time(wheel):
    command = ["git", "ls-files", "bwcache", *ASSETS]
    tracked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    needed = {
        f"bwcache/{name}" if name.startswith("assets/") else name
        for name in tracked.splitlines()
        if not name.startswith(NOT_INSTALLED) and (ROOT / name).exists()
    }
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert needed - held == set()
    assert not [name for name in held if name.startswith(NOT_INSTALLED)]
    assert not [name for name in held if "__pycache__" in name]
    assert {name.split("/")[0] for name in held} == {"bwcache"}


def test_the_command_compares_and_predicts_from_another_folder(python, tmp_path):
    command = str(python.with_name("bwcache"))
    setting = ["--threshold", "0.045", "--json"]
    asked = ["--prompt", PROMPT, "--steps", "6", "--out", "result"]
    summary = json.loads(run([command, "compare", *asked, *setting], tmp_path))
    assert summary["model"] == "tinyworld"
    assert summary["versions"]["bwcache"] == bwcache.__version__
    assert {path.name for path in (tmp_path / "result").iterdir()} == {
        "baseline.mp4",
        "cached.mp4",
        "difference.mp4",
        "share.mp4",
        "summary.json",
        "trace.json",
    }
    prediction = json.loads(run([command, "predict", "result/trace.json", *setting], tmp_path))
    assert prediction["steps_reused"] == summary["steps_reused"]
    assert prediction["trigger_step"] == summary["trigger_step"]
    where = run([str(python), "-c", "import bwcache; print(bwcache.__file__)"], tmp_path)
    assert Path(where.strip()).is_relative_to(python.parents[1])


def test_without_the_page_there_is_no_gradio(python, tmp_path):
    program = "from importlib.util import find_spec; print(find_spec('gradio'))"
    assert run([str(python), "-c", program], tmp_path) == "None\n"


def test_the_page_s_extra_is_enough_for_the_page(python, wheel, tmp_path):
    pip(python, "install", "--no-compile", f"bwcache[page] @ {wheel.as_uri()}")
    said = run([str(python), "-c", BUILD_THE_PAGE], tmp_path)
    assert Path(said.splitlines()[0]).is_relative_to(python.parents[1])
