"""The command line answers at once: what only reads its arguments loads neither torch nor numpy."""

import subprocess
import sys

import pytest

from bwcache.cli import COMMANDS

from ..environments import ROOT

HEAVY = "torch numpy PIL diffusers transformers huggingface_hub gradio plotly"
BENCHES = ("overhead", "memory", "methods", "gpu")


def run(*arguments: str, blocked: str = HEAVY) -> subprocess.CompletedProcess:
    """A command in a process of its own, where some packages cannot be imported."""
    program = f"import sys; sys.modules.update(dict.fromkeys({blocked.split()!r}))\n"
    program += f"from bwcache.cli import main\nsys.exit(main({list(arguments)!r}))"
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize(
    "command", [[], *([name] for name in COMMANDS), *(["bench", name] for name in BENCHES)]
)
def test_help(command):
    done = run(*command, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(" ".join(["usage: bwcache", *command]))


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["compare", "--prompt", "a", "--out", "x", "--threshold", "-1"], "threshold"),
        (["record", "--prompt", "a", "--out", "x", "--title", "t", "--model", "sora"], "model"),
        (["sweep", "--prompt", "a", "--thresholds", "0.1"], "out"),
        (["sweep", "--prompt", "a", "--goal", "close"], "goal"),
        (["sweep", "--prompts", "nowhere", "--thresholds", "1", "--out", "x"], "prompts"),
        (["sweep", "--prompt", "a", "--set", "fora.period=0", "--out", "x"], "period"),
        (["score", "a.mp4", "b.mp4", "--metrics", "beauty"], "metrics"),
        (["bench", "overhead", "--rounds", "few"], "rounds"),
        (["bench", "gpu", "--parts", "speed", "--out", "x"], "parts"),
        (["bench", "gpu", "--minutes", "nan", "--out", "x"], "minutes"),
        (["bench", "gpu"], "out"),
        (["predict", "nowhere.json", "--threshold", "0.1"], "trace"),
    ],
)
def test_a_refusal(arguments, field):
    done = run(*arguments)
    assert done.returncode == 2
    assert field in done.stderr
    assert done.stderr.count("\n") == 1
    assert not done.stdout


def test_a_prediction():
    trace = ROOT / "assets" / "runs" / "1-balanced" / "trace.json"
    done = run("predict", str(trace), "--threshold", "0.045", "--reuse-interval", "2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("CC")
    assert "steps reused (exact)" in done.stdout


@pytest.mark.slow
def test_what_runs_a_model_needs_no_page():
    """The modules that the commands import when they run, where the page's extra is missing."""
    modules = ("runs.record", "runs.result_files", "explore.sweep.worker", "explore.sweep.report")
    modules += ("bench.overhead", "bench.memory", "bench.methods", "bench.replays", "space.deploy")
    program = "import sys; sys.modules.update(dict.fromkeys(['gradio', 'plotly', 'spaces']))\n"
    program += "".join(f"import bwcache.{name}\n" for name in modules)
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
