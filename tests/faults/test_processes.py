"""Processes that make one video together: one speaks and writes, and none outlives another."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch.distributed as dist

from bwcache.cli import main
from bwcache.errors import ConfigError, MachineError
from bwcache.models import CATALOGUE, processes
from tests.pipelines.test_ranks import PATIENCE

ROOT = Path(__file__).parents[2]
PROMPT = "a red circle moving right on a white background"
COMPARE = ["compare", "--prompt", PROMPT, "--context-parallel", "2"]
SHORT = ["--steps", "6", "--threshold", "0.3"]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **more}


def steps_of(folder: Path) -> dict[str, list]:
    trace = json.loads((folder / "trace.json").read_text(encoding="utf-8"))
    return {run: trace[run]["steps"] for run in ("baseline", "cached")}


def test_torchrun_makes_what_one_process_makes_and_speaks_once(tmp_path, capsys):
    """TinyWorld has five heads and two processes: neither has the same work."""
    ours, shared = tmp_path / "one", tmp_path / "two"
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"),
        *("--master-addr", "127.0.0.1", "--master-port", str(free_port()), "-m", "bwcache"),
        *(*COMPARE, *SHORT, "--control", "--json", "--out", str(shared)),
    ]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr[-2000:]
    summary = json.loads(done.stdout)  # one object: the other process is silent
    assert summary["device"].startswith("2 processes, each on cpu")
    assert summary["in_turns"] is False
    assert done.stderr.count("warming up") == 1
    assert main(["compare", "--prompt", PROMPT, *SHORT, "--control", "--out", str(ours)]) == 0
    assert {path.name for path in shared.iterdir()} == {path.name for path in ours.iterdir()}
    alone, together = steps_of(ours), steps_of(shared)
    for run, steps in alone.items():
        for mine, its in zip(steps, together[run], strict=True):
            assert mine["blocks"] == its["blocks"]
            assert mine["reason"] == its["reason"]
            if mine["distances"] is not None:
                assert its["distances"] == pytest.approx(mine["distances"], rel=1e-3)
    assert any(set(step["blocks"]) == {"r"} for step in alone["cached"])
    told = json.loads((ours / "summary.json").read_text(encoding="utf-8"))
    assert summary["psnr_db"] == pytest.approx(told["psnr_db"], abs=0.2)
    assert summary["control_steps"] == told["control_steps"]


@pytest.mark.faults
@pytest.mark.parametrize("lost", [1, 0])
def test_a_killed_process_ends_the_other_with_one_line(lost, tmp_path, tried):
    out, said, port = tmp_path / "out", [tmp_path / "0", tmp_path / "1"], free_port()
    both = []
    for rank in range(2):
        place = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
        place |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        command = [sys.executable, "-m", "bwcache", *COMPARE, "--steps", "200", "--out", str(out)]
        with said[rank].open("wb") as errors:
            both.append(
                subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env=environment(**place),
                    stdout=subprocess.PIPE,
                    stderr=errors,
                )
            )
    try:
        while b"baseline:   2%" not in said[0].read_bytes() and both[0].poll() is None:
            time.sleep(0.1)
        both[lost].send_signal(signal.SIGKILL)
        stdout, _ = both[1 - lost].communicate(timeout=PATIENCE)
        assert both[1 - lost].returncode == 1
    finally:
        for process in both:
            process.kill()
            process.wait()
    lines = said[1 - lost].read_text(errors="replace").splitlines()
    spoken = [line for line in lines if line.startswith("bwcache: ")]
    assert spoken == [f"bwcache: {processes.LOST}"]
    assert not stdout
    assert not out.exists()
    tried("processes of one video killed", 1, 0)


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "launched", "says"),
    [
        ([], {}, "context_parallel: got 2; .* here 1: torchrun --nproc-per-node 2 -m bwcache"),
        ([], {"WORLD_SIZE": "4"}, "got 2; allowed is the number of processes started, here 4"),
        (["--context-parallel", "0"], {}, "context_parallel: got 0"),
        (["--context-parallel", "1"], {"WORLD_SIZE": "2"}, "got 1; .* here 2"),
        (["--ruler"], "two", "ruler: got True; allowed is no ruler with --context-parallel"),
        (["--offload", "model"], "two", "offload: got 'model'; allowed is none with"),
        (
            ["--model", "mochi-1"],
            "two",
            "context_parallel: got 'mochi-1'; .* WanTransformer3DModel",
        ),
        (["--device", "cuda"], "two", "context_parallel: got 2; .* one process for each GPU"),
    ],
)
def test_one_line_and_nothing_written(given, launched, says, tmp_path, capsys, monkeypatch):
    two = dict.fromkeys(("RANK", "LOCAL_RANK"), "0") | {"WORLD_SIZE": "2"}
    two |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    for name, value in (two if launched == "two" else launched).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(processes.torch.cuda, "device_count", lambda: 0)
    out = tmp_path / "out"
    assert main([*COMPARE, *given, "--out", str(out)]) == 2
    written = capsys.readouterr()
    assert written.err.count("\n") == 1
    assert re.search(says, written.err)
    assert not written.out
    assert not out.exists()


def test_a_follower_is_silent(tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    assert main([*COMPARE, "--threshold", "-1", "--out", str(tmp_path / "out")]) == 2
    assert capfd.readouterr() == ("", "")


def test_which_models_of_the_catalogue_can_be_shared():
    found = set()
    for name, spec in CATALOGUE.items():
        try:
            processes.check_model(spec)
        except ConfigError:
            continue
        found.add(name)
    left_out = {"mochi-1", "latte-1", "allegro", "hunyuanvideo-1.5", "skyreels-v2-df-1.3b"}
    assert {*CATALOGUE} - found == left_out


# -- the watch, by hand ----------------------------------------------------------------------------


class Ended(BaseException):
    """In place of the process's end."""


def watch_of(store, rank: int, monkeypatch) -> processes._Watch:
    def end(self, why):
        raise Ended(why)

    monkeypatch.setattr(processes._Watch, "_end", end)
    monkeypatch.setattr(processes, "BEAT", 0.01)
    monkeypatch.setattr(processes, "LOST_AFTER", 0.0)
    monkeypatch.setattr(processes.signal, "signal", lambda *given: None)
    monkeypatch.setattr(processes.atexit, "register", lambda *given: None)
    return processes._Watch(store, rank, 2)


def test_a_process_that_gives_no_more_signs_of_life_is_lost(monkeypatch):
    store = dist.HashStore()
    store.set("beat/1", "7")
    with pytest.raises(Ended, match="process 2 of 2 has not been heard of for 0 s"):
        watch_of(store, 0, monkeypatch).run()


def test_one_that_has_left_is_not_lost(monkeypatch):
    store = dist.HashStore()
    store.set("left/1", "")
    watch, rounds = watch_of(store, 0, monkeypatch), []
    monkeypatch.setattr(
        watch._over, "wait", lambda seconds: rounds.append(seconds) or len(rounds) > 9
    )
    watch.run()
    assert len(rounds) == 10


@pytest.mark.parametrize("rank", [0, 1])
def test_what_another_died_of_is_said_once(rank, monkeypatch, capfd):
    store = dist.HashStore()
    here, there = (watch_of(store, r, monkeypatch) for r in (rank, 1 - rank))
    if rank:  # the first one has an error of its own, and says it
        assert isinstance(there.last_words(MemoryError("no room")), MemoryError)
    else:
        assert isinstance(there.last_words(MemoryError("no room")), SystemExit)
    lost = RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer")
    assert isinstance(here.last_words(lost), SystemExit)
    said = capfd.readouterr().err
    if rank:
        assert said == ""
    else:
        assert said == f"\nbwcache: {processes.LOST}; process 2 of 2 ended: no room\n"


def test_while_others_load_one_waits_unless_one_has_died():
    store = dist.HashStore()
    store.set("loaded/1", "")
    here = processes.Processes(0, 2, store, None)
    processes._wait_for_all(here, "loaded")
    store.set("words/1", "process 2 of 2 ended: no room")
    with pytest.raises(MachineError, match="another process"):
        processes._wait_for_all(here, "another")
