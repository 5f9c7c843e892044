"""What a chat or a search shows of a link to the page: the project's title, a sentence, a picture.

Gradio's own page has tags that speak of Gradio; they are replaced as the page goes out.
"""

from __future__ import annotations

import re
from html import escape

from starlette.datastructures import URL, Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .languages import TITLE, say
from .panel import STATIC, address
from .texts import ENGLISH

PICTURE = STATIC / "page" / "preview.jpg"
SIZE = (1200, 630)  # of the picture, in pixels
ICON = STATIC / "page" / "icon.svg"
GRADIOS = re.compile(rb"""<meta\s+(?:property="og:|name="twitter:)[^>]*>\s*""")
HEAD = b"<head>"


def tags(base: str) -> str:
    """The tags of a page.

    Args:
        base: The page's address as a visitor sees it, without a slash at its end.
    """
    about, picture = say(ENGLISH)("page.tagline"), f"{base}{address(PICTURE)}"
    graph = {
        "og:title": TITLE,
        "og:description": about,
        "og:type": "website",
        "og:url": f"{base}/",
        "og:image": picture,
        "og:image:width": str(SIZE[0]),
        "og:image:height": str(SIZE[1]),
        "og:image:alt": say(ENGLISH)("page.preview_alt"),
    }
    names = {"description": about, "twitter:card": "summary_large_image"}
    lines = [f'<meta property="{key}" content="{escape(text)}" />' for key, text in graph.items()]
    lines += [f'<meta name="{key}" content="{escape(text)}" />' for key, text in names.items()]
    icon = escape(f"{base}{address(ICON)}")
    return "".join([*lines, f'<link rel="icon" type="image/svg+xml" href="{icon}" />'])


def seen_from_outside(scope: Scope) -> str:
    """The page's address as a visitor sees it, behind a proxy too, without a slash at its end."""
    headers, url = Headers(scope=scope), URL(scope=scope)
    proto = headers.get("x-forwarded-proto", url.scheme).split(",")[0].strip()
    host = headers.get("x-forwarded-host", url.netloc).split(",")[0].strip()
    return f"{proto}://{host}{scope.get('root_path', '')}".rstrip("/")


class LinkPreview:
    """Puts the project's tags into Gradio's page in the place of its own."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        held: list[Message] = []  # the start of a page, until its end is there

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                kind = Headers(raw=message["headers"]).get("content-type", "")
                if kind.startswith("text/html"):
                    held.append(message)
                    return
            if not held:
                await send(message)
                return
            held.append(message)
            if message.get("more_body"):
                return
            body = b"".join(part.get("body", b"") for part in held[1:])
            if b'property="og:' in body:
                ours = HEAD + tags(seen_from_outside(scope)).encode()
                body = GRADIOS.sub(b"", body).replace(HEAD, ours, 1)
            MutableHeaders(raw=held[0]["headers"])["content-length"] = str(len(body))
            await send(held[0])
            await send({"type": "http.response.body", "body": body})
            held.clear()

        await self._app(scope, receive, send_marked)
