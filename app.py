"""Entry point of the page, here and on a Space: build it, launch it."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

if __name__ == "__main__":  # until there is something to end, a signal ends the program at once
    signal.signal(signal.SIGINT, signal.SIG_DFL)

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before Gradio is imported

with suppress(ImportError):  # it is for ZeroGPU alone
    import spaces  # noqa: F401 - before anything that might touch CUDA

import gradio as gr

from bwcache.cli.arguments import USAGE_ERROR, Parser
from bwcache.errors import ConfigError, MachineError, first_line, machine_fault
from bwcache.models.machine import check_devices, default_device, on_zerogpu
from bwcache.models.replicas import serve_on
from bwcache.runs.baselines import remembering
from bwcache.runs.compare import make_comparison
from bwcache.runs.video import check_encoder
from bwcache.space import zerogpu
from bwcache.space.host_settings import Settings, read_devices
from bwcache.ui import Host, LaunchError, build, launch, serve_until_stopped

LONGEST_END = 4.5  # seconds
demo: gr.Blocks | None = None  # the page once `main` has built it, by the name that Gradio reloads


def port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"got {text!r}; allowed is a number from 1 to 65535")
    return int(text)


def parse(given: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser("app.py", description="Serve the page. GRADIO_SERVER_NAME and _PORT work, too.")
    parser.add_argument("--kiosk", action="store_true", help="large type, few controls, no traces")
    parser.add_argument("--mcp", action="store_true", help="offer the API to agents over MCP, too")
    parser.add_argument("--host", help="address to listen on; 127.0.0.1 if left out")
    parser.add_argument("--devices", help="several, each with its replica: cuda:0,cuda:1")
    parser.add_argument("--port", type=port, help="port to listen on; the first free from 7860")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> None:
    """Serve the page on threads of its own; leaves the program with one line where it cannot."""
    global demo
    options = parse(given)
    try:
        settings = Settings.from_env(os.environ)
        devices = devices_of(options.devices, settings)
        first = settings.default_model
        zerogpu.preload([first] if first else None)  # this and the next two: only on ZeroGPU
        price = zerogpu.price if on_zerogpu() else None
        compare = remembering(zerogpu.gpu(make_comparison))
        host = Host(devices[0] if devices else default_device(), settings, price, devices)
        demo = build(compare, host, settings.runs, kiosk=options.kiosk)
        check_encoder()
    except ConfigError as error:
        leave(error, USAGE_ERROR)
    except (MachineError, OSError) as error:
        leave(error, 1)
    asked = {"server_name": options.host, "server_port": options.port}
    asked = {name: value for name, value in asked.items() if value is not None}
    if options.mcp:
        asked["mcp_server"] = True
    try:
        launch(demo, host.takes_images, **{**settings.launch_options(), **asked})
    except (OSError, LaunchError, RuntimeError, ValueError, ArithmeticError) as error:
        said, fault = first_line(error), machine_fault(error)
        leave(f"{fault}: {said}" if fault else said, 1)


def devices_of(given: str | None, settings: Settings) -> tuple[str, ...]:
    """The devices that the command line names, else those of the environment; none for the best."""
    name, devices = "BWCACHE_DEVICES", settings.devices
    if given is not None:
        name, devices = "--devices", read_devices(given, "--devices")
    check_devices(devices, name)
    if len(devices) > 1:
        serve_on(devices)
    return devices


def serve(given: Sequence[str] | None = None) -> NoReturn:
    """Serve the page until Ctrl+C or SIGTERM, and end within five seconds, in a run or idle."""
    asked, own = threading.Event(), os.getpid()

    def on_signal(number: int, _: object) -> None:
        if os.getpid() != own:  # a worker that was forked: it ends as any other program
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        if asked.is_set() or demo is None or not demo.is_running:
            os._exit(130)  # asked for once more, or there is nothing to end yet
        asked.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    main(given)
    print("app.py: Ctrl+C ends it", flush=True)
    while not asked.wait(1.0):
        if demo is None or not demo.is_running:
            leave("the server has ended by itself", 1)
    logging.getLogger("uvicorn.error").addFilter(is_a_fault)
    timer = threading.Timer(LONGEST_END, os._exit, [0])
    timer.daemon = True
    timer.start()
    serve_until_stopped(demo, asked.wait)
    print("app.py: stopped", flush=True)
    logging.shutdown()
    # A step that is being computed has no end that could be waited for, and Python's own end would
    # take the memory from under it.
    os._exit(0)


def is_a_fault(record: logging.LogRecord) -> bool:
    """Whether a record is of more than an answer that the server's end cuts off."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def leave(message: object, status: int) -> NoReturn:
    print(f"app.py: {message}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("bwcache").setLevel(logging.INFO)
    serve()
