"""`app.py` around the fake, in a process of its own."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
# app.py as it is, around the fake: a run of so many seconds
PROGRAM = """
import os, runpy, sys
import bwcache.runs.compare as compare
from bwcache.testing import FakeBackend
compare.make_comparison = FakeBackend(pause={pause})._compare
sys.argv = ["app.py", "--port", {port!r}]
runpy.run_path({app!r}, run_name="__main__")
"""


class Server:
    """app.py in a process of its own."""

    def __init__(self, port: int, pause: float = 0.0, **variables: str):
        program = PROGRAM.format(pause=pause, port=str(port), app=str(ROOT / "app.py"))
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
        self.address = f"http://127.0.0.1:{port}/"
        self.process = subprocess.Popen(
            [sys.executable, "-c", program],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def is_up(self) -> bool:
        if self.process.poll() is not None:
            return True  # the test finds out why
        try:
            return httpx.get(f"{self.address}health", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def end(self, number: int) -> tuple[int, str, str, float]:
        """Exit status, what was printed, and the seconds it took."""
        started = time.monotonic()
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err, time.monotonic() - started


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
