"""The Python lines that the page shows run as they stand, and do what the page does."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bwcache.cache.methods.bwcache import BWCacheConfig
from bwcache.cache.methods.first_block_cache import FirstBlockCacheConfig
from bwcache.models import CATALOGUE
from bwcache.models.loading import load
from bwcache.runs import compare
from bwcache.runs.controls import CONTROLS
from bwcache.runs.generate import generate
from bwcache.runs.request import Request
from bwcache.testing import FakeBackend
from bwcache.ui.code_lines import code_lines, config_line
from tests.ui.given import PROMPT

ROOT = Path(__file__).parents[2]
CONFIG = BWCacheConfig(0.2, 2, gate="recheck", warm_up_steps=3)


@pytest.mark.slow
def test_it_runs_as_it_stands_and_makes_the_same_run(tmp_path):
    request = Request(PROMPT, steps=8, seed=3, config=CONFIG)
    lines = code_lines(request, "cpu")
    assert "threshold=0.2, reuse_interval=2" in lines
    assert "gate='recheck'" in lines
    lines += "print(trace.schedule)\n"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", lines],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    pipe, spec = load("tinyworld", "cpu"), CATALOGUE["tinyworld"]
    *_, finished = generate(pipe, spec, "cached", PROMPT, 3, 8, CONFIG)
    said, schedule = done.stdout.strip().splitlines()[-2:]
    assert said.startswith(f"{finished.trace.steps_reused} of 8 steps reused in ")
    assert schedule == str(finished.trace.schedule)
    assert finished.trace.steps_reused
    assert (tmp_path / "cached.mp4").stat().st_size > 1000


@pytest.mark.parametrize("model", CATALOGUE)
@pytest.mark.parametrize("prompt", ['it\'s "quoted"\n\\N{BULLET} {x}', PROMPT])
def test_it_is_python_for_every_model_and_prompt(model, prompt):
    request = Request(prompt, model, config=CONFIG, random_weights=True)
    other = replace(request, image=b"picture", config=FirstBlockCacheConfig(0.3), control="shift")
    for each in (request, other):
        compile(code_lines(each, "cuda:0"), "shown", "exec")


@pytest.mark.parametrize("kind", CONTROLS)
def test_the_control_is_part_of_the_program(kind, monkeypatch, capsys):
    """Its last lines, run with a stand-in for the comparison, ask for what the form asks for."""
    request = Request(PROMPT, steps=12, seed=3, config=CONFIG, control=kind)
    lines = code_lines(request, "cpu")
    assert lines.startswith(code_lines(replace(request, control=False), "cpu"))
    asked = FakeBackend()
    monkeypatch.setattr(compare, "compare", lambda one, device: asked(one, None, device))
    exec(lines[lines.index("# The whole comparison") :], {"config": CONFIG})
    assert asked.requests == [request]
    assert "control (" in capsys.readouterr().out


def test_what_is_as_usual_is_left_out():
    assert config_line(BWCacheConfig(0.06)) == "BWCacheConfig(threshold=0.06)"
