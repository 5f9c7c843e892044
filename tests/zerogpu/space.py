"""Starts a Space on ZeroGPU without the hardware, asks it to do things, and ends it.

The Space is `program.py`, a process of its own: `spaces` patches and forks the one that it is in.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from multiprocessing import Pipe
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SECONDS = 180  # for one call, on a busy machine


class Space:
    """The process, inside a `with`.

    Args:
        url: Of the device API.
        home: An empty folder that it may write to.
    """

    def __init__(self, url: str, home: Path):
        cgroup = home / "cgroup"
        cgroup.write_text("0::/space\n")
        self._environment = {
            **{name: value for name, value in os.environ.items() if "proxy" not in name.lower()},
            "SPACES_ZERO_GPU": "true",
            "SPACES_ZERO_DEVICE_API_URL": url,
            "ZEROGPU_PROC_SELF_CGROUP_PATH": str(cgroup),
            "HOME": str(home),
            "OMP_NUM_THREADS": "1",
            "GRADIO_ANALYTICS_ENABLED": "False",
            "HF_HUB_OFFLINE": "1",
        }

    def __enter__(self) -> Space:
        self._line, theirs = Pipe()
        command = [sys.executable, "-m", "tests.zerogpu.program", str(theirs.fileno())]
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=self._environment,
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # so that it ends together with its workers
        )
        theirs.close()
        return self

    def __exit__(self, *error) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._line.close()

    def call(self, name: str, *arguments: object) -> object:
        """What a function of `program.py` returns there; raises what it raises."""
        self._line.send((name, arguments))
        self._wait(name)
        result = self._line.recv()
        if isinstance(result, Exception):
            raise result
        return result

    def _wait(self, name: str) -> None:
        for _ in range(SECONDS):
            if self._line.poll(1):
                return
            if self._process.poll() is not None:
                raise EOFError(f"the Space ended before {name} was done")
        self._process.kill()  # or its answer would be taken for that to the next call
        raise TimeoutError(f"{name} was not done within {SECONDS} s")
