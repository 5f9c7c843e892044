"""What no visitor may exceed, and two addresses for the host: `/health` and `/metrics`.

Stands before Gradio: too many requests, too large ones and too many wrong passwords cost a line.
"""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..models import start_picture as picture
from .service import Service

BODY_BYTES = 2 * picture.MAX_BYTES  # of one request: a picture in base64 with the rest of a form
MINUTE = 60.0
WRONG_PASSWORDS = 5  # a minute and address
ADDRESSES = 10_000  # that are remembered at once
LOGIN = "/login"


class PerMinute:
    """How often each address did something in its running minute.

    Args:
        clock: Gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def count(self, address: str, more: int = 1) -> int:
        """So many now, with these."""
        now = self._clock()
        with self._lock:
            began, number = self._counts.get(address, (now, 0))
            if now - began >= MINUTE:
                began, number = now, 0
            self._counts[address] = (began, number + more)
            self._counts.move_to_end(address)
            while len(self._counts) > ADDRESSES:
                self._counts.popitem(last=False)
            return number + more


class Limits:
    """Refuses what is too much.

    Args:
        app: What it stands before.
        service: The page's.
        clock: Gives seconds.
    """

    def __init__(self, app: ASGIApp, service: Service, clock: Callable[[], float] = time.monotonic):
        self._app, self._service = app, service
        self._requests, self._wrong = PerMinute(clock), PerMinute(clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path == "/health" and scope["method"] in ("GET", "HEAD"):
            health = self._service.health()
            await _answer(send, 200 if health["status"] == "ok" else 503, json.dumps(health))
            return
        if path == "/metrics" and self._service.settings.metrics:
            await _answer(send, 200, self._service.metrics(), "text/plain; version=0.0.4")
            return
        address = (scope.get("client") or ("nobody", 0))[0]
        posted = scope["method"] == "POST"  # what is asked of the page; the rest are its files
        if posted and self._requests.count(address) > self._service.settings.max_requests:
            await self._refuse(send, "rate", 429, "Too many requests; please wait a minute.")
            return
        logging_in = posted and path.rstrip("/").endswith(LOGIN)
        if logging_in and self._wrong.count(address, 0) >= WRONG_PASSWORDS:
            await self._refuse(send, "login", 429, "Too many attempts; please wait a minute.")
            return
        if _length(scope) > BODY_BYTES:
            await self._too_large(send)
            return
        await self._pass(scope, receive, send, address if logging_in else None)

    async def _pass(self, scope: Scope, receive: Receive, send: Send, address: str | None) -> None:
        """Hand a request on, looking at how large it turns out and whether a password was wrong."""
        read, began, refused = 0, False, False

        async def counted() -> Message:
            nonlocal read, refused
            message = await receive()
            read += len(message.get("body", b""))
            if read > BODY_BYTES and not refused:
                refused = True
                if not began:
                    await self._too_large(send)
            return {"type": "http.disconnect"} if refused else message

        async def watched(message: Message) -> None:
            nonlocal began
            if refused:
                return  # it has its answer
            if message["type"] == "http.response.start":
                began = True
                if address is not None and message["status"] >= 400:
                    self._wrong.count(address)
            await send(message)

        try:
            await self._app(scope, counted, watched)
        except Exception:
            if not refused:
                raise

    async def _too_large(self, send: Send) -> None:
        text = f"Too large: at most {BODY_BYTES // 10**6} MB are taken."
        await self._refuse(send, "size", 413, text)

    async def _refuse(self, send: Send, why: str, status: int, text: str) -> None:
        self._service.run_log.refused(why)
        await _answer(send, status, json.dumps({"detail": text}))


def _length(scope: Scope) -> int:
    text = Headers(scope=scope).get("content-length", "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


async def _answer(send: Send, status: int, text: str, kind: str = "application/json") -> None:
    body = text.encode()
    headers = [
        (b"content-type", f"{kind}; charset=utf-8".encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if status == 429:
        headers.append((b"retry-after", str(round(MINUTE)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
