"""Entry point of the page, here and on a Space: build it, launch it."""

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before Gradio is imported

try:
    import spaces  # before anything that might touch CUDA
except ImportError:
    spaces = None

from bwcache.compare import BaselineStore, compare
from bwcache.machine import default_device
from bwcache.ui import build, launch

GPU_SECONDS = 120

if spaces is not None:  # leaves the function as it is outside ZeroGPU
    compare = spaces.GPU(duration=GPU_SECONDS)(compare)

demo = build(compare, BaselineStore, default_device())

if __name__ == "__main__":
    launch(demo)
