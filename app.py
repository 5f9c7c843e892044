"""Entry point of the page, here and on a Space: build it, launch it."""

import argparse
import os
import sys

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before Gradio is imported

try:
    import spaces  # before anything that might touch CUDA
except ImportError:
    spaces = None

from bwcache.compare import BaselineStore, compare
from bwcache.machine import default_device
from bwcache.recorded import RUNS
from bwcache.ui import build, launch

GPU_SECONDS = 120


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong."""

    def error(self, message: str):
        self.exit(2, f"app.py: {message}; see python app.py --help\n")


def port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"got {text!r}; allowed is a number from 1 to 65535")
    return int(text)


def arguments(given: list[str]) -> argparse.Namespace:
    parser = Parser(description="Serve the page. GRADIO_SERVER_NAME and _PORT work, too.")
    parser.add_argument("--kiosk", action="store_true", help="large type, few controls, no traces")
    parser.add_argument("--host", help="address to listen on; 127.0.0.1 if left out")
    parser.add_argument("--port", type=port, help="port to listen on; the first free from 7860")
    return parser.parse_args(given)


options = arguments(sys.argv[1:] if __name__ == "__main__" else [])

if spaces is not None:  # leaves the function as it is outside ZeroGPU
    compare = spaces.GPU(duration=GPU_SECONDS)(compare)

demo = build(compare, BaselineStore, default_device(), RUNS, kiosk=options.kiosk)

if __name__ == "__main__":
    chosen = {"server_name": options.host, "server_port": options.port}
    try:
        launch(demo, **{name: value for name, value in chosen.items() if value is not None})
    except OSError as error:
        sys.exit(f"app.py: {str(error).splitlines()[0]}")
