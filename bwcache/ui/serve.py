"""How the page is served: on this machine only, asking no other host, keeping no history."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable

import gradio as gr
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import first_line
from ..models import start_picture as picture
from .languages import I18N
from .limits import Limits
from .link_preview import ICON, LinkPreview
from .panel import STATIC, styles
from .service import Service
from .theme import theme

# The upload route is open whether or not anything on the page uploads.
NO_UPLOAD, PICTURE = "1kb", f"{picture.MAX_BYTES}b"
MODULES = f"/file={STATIC.as_posix()}/"  # in the path of an address
MCP_MISSING = 'MCP needs one more package: pip install "mcp>=1.25,<2"'
MCP_OPEN = "MCP asks nobody for the password: serve it without auth, or leave MCP out"


class LaunchError(RuntimeError):
    """The page cannot be served as asked: says why, and what to do, in one line."""


class FreshScripts:
    """Lets browsers ask each time whether a module has changed.

    Else one that knows modules of an older version might run them beside those of this one.
    """

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Cache-Control"] = "no-cache"
            await send(message)

        ours = scope["type"] == "http" and MODULES in scope["path"]
        await self._app(scope, receive, send_marked if ours else send)


NAMED_CALLS = "/call/v2/"  # in the path of a call whose values have names


async def refuse_call(request: Request, error: Exception) -> Response:
    """A line for a call by name that names no endpoint, or values that it has not.

    Gradio has none for it: a 500 for the caller, and a stack trace with what was given for the log.
    """
    if NAMED_CALLS not in request.url.path:
        raise error
    if isinstance(error, KeyError):
        return JSONResponse({"detail": "There is no endpoint of this name."}, 404)
    said = first_line(error).partition(" Please click")[0]
    return JSONResponse({"detail": said}, 422)


def launch(page: gr.Blocks, uploads: bool = False, **changes):
    """Serve the page on a thread: on this machine only, unless told otherwise or on a Space.

    Args:
        page: As `page.build` makes it.
        uploads: Whether a picture may be uploaded.
        changes: Of what goes to `gr.Blocks.launch`; `mcp_server=True` offers the API over MCP.

    Raises:
        LaunchError: MCP is asked for, and its package is missing, or `auth` is asked for as well.
        OSError: The port is taken.
    """
    everywhere = "0.0.0.0" if os.environ.get("SPACE_ID") else "127.0.0.1"
    service: Service | None = getattr(page, "service", None)
    middleware = [Middleware(FreshScripts), Middleware(LinkPreview)]
    if service is not None:
        middleware.insert(0, Middleware(Limits, service=service))
        service.keep_tidy()
    options = {
        "server_name": os.environ.get("GRADIO_SERVER_NAME", everywhere),
        "share": False,
        "show_error": False,
        "max_file_size": PICTURE if uploads else NO_UPLOAD,
        "theme": theme(),
        "head": styles(),
        "favicon_path": ICON,
        "footer_links": ["gradio", "settings"],
        "run_history": False,
        "ssr_mode": False,
        "i18n": I18N,
        "mcp_server": False,
        "prevent_thread_lock": True,
        "enable_monitoring": False,  # `/metrics` is for the host alone, and only where asked for
        "app_kwargs": {
            "middleware": middleware,
            "exception_handlers": {KeyError: refuse_call, TypeError: refuse_call},
        },
    }
    options |= changes
    if options["mcp_server"] and importlib.util.find_spec("mcp") is None:
        raise LaunchError(MCP_MISSING)
    if options["mcp_server"] and (options.get("auth") or options.get("auth_dependency")):
        raise LaunchError(MCP_OPEN)  # Gradio's own MCP routes would pass by the login
    return page.launch(**options)


CLOSING_SECONDS = 2  # that open connections get once their runs have ended


def serve_until_stopped(page: gr.Blocks, wait: Callable[[], object]) -> None:
    """Go on serving until `wait` returns, then end within five seconds.

    Runs stop at their next step, and pages that follow one are told; new ones are refused.

    Args:
        page: Launched, with `prevent_thread_lock=True`.
        wait: Returns once the server is to be stopped.
    """
    wait()
    service: Service | None = getattr(page, "service", None)
    if service is not None:
        service.stop()
    if (server := getattr(page, "server", None)) is not None:
        server.config.timeout_graceful_shutdown = CLOSING_SECONDS
    page.close(verbose=False)
