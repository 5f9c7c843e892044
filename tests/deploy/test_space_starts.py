"""The folder that `deploy --dry-run` writes starts by itself, with nothing but its requirements."""

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from ..environments import clean, fresh_python
from .conftest import deployed

WAIT = 240  # seconds; generous, for slow machines
CLIENT = """
import json, sys
from gradio_client import Client
client = Client(sys.argv[1], verbose=False)
result = client.predict("a red circle moving right on a white background", steps=6, threshold=0.5,
                        api_name="/compare")
print(json.dumps(result))
"""


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    """The folder, and the Python of an environment with what it asks for."""
    folder = deployed(tmp_path_factory.mktemp("space") / "folder", "cpu-basic")
    environment = tmp_path_factory.mktemp("environment") / "venv"
    return folder, fresh_python(environment, "-r", str(folder / "requirements.txt"))


def free_port() -> int:
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


@pytest.fixture
def address(space, tmp_path):
    """Where app.py of the folder answers; nothing is told to it but the port."""
    folder, python = space
    port = free_port()
    with (tmp_path / "log").open("w+") as log:
        server = subprocess.Popen(
            [str(python), "app.py"],
            cwd=folder,
            env=clean() | {"GRADIO_SERVER_PORT": str(port), "HF_HUB_OFFLINE": "1"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield answering(f"http://127.0.0.1:{port}", server, log)
        finally:
            server.terminate()
            server.wait(30)


def answering(url: str, server: subprocess.Popen, log) -> str:
    """The address, once it answers."""
    until = time.monotonic() + WAIT
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return url
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    log.seek(0)
    pytest.fail(f"app.py does not answer:\n{log.read()[-3000:]}")


@pytest.mark.slow
def test_it_serves_the_page_and_makes_a_comparison(space, address):
    with urllib.request.urlopen(address) as answer:
        assert answer.status == 200
        assert '<meta property="og:title" content="BWCache"' in answer.read().decode()
    with urllib.request.urlopen(f"{address}/config") as answer:
        assert json.load(answer)["title"] == "BWCache"
    done = subprocess.run(
        [str(space[1]), "-c", CLIENT, address],
        capture_output=True,
        text=True,
        env=clean(),
        timeout=WAIT,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["summary"]["model"] == "tinyworld"
    assert result["summary"]["steps"] == 6
    assert result["verdict"]


@pytest.mark.slow
def test_what_it_runs_comes_from_the_folder(space):
    folder, python = space
    program = "import bwcache, gradio; print(bwcache.__file__); print(gradio.__version__)"
    done = subprocess.run(
        [str(python), "-c", program],
        cwd=folder,
        env=clean(),
        capture_output=True,
        text=True,
        check=True,
    )
    package, gradio = done.stdout.split()[-2:]
    assert package == str(folder / "bwcache" / "__init__.py")
    assert f"sdk_version: {gradio}\n" in (folder / "README.md").read_text(encoding="utf-8")
