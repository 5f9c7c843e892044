"""A Hugging Face hub on this machine: one repository, served as the real one does, or badly."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import constants, file_download
from huggingface_hub.utils import _http

COMMIT = "1234567890abcdef1234567890abcdef12345678"
REFUSALS = {  # as the real hub refuses
    "gated": (401, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted."}),
    "no repository": (404, {"X-Error-Code": "RepoNotFound"}),
    "no revision": (404, {"X-Error-Code": "RevisionNotFound"}),
    "too many": (429, {}),
    "out of order": (503, {}),
    "bad token": (403, {}),
}


class FakeHub:
    """Serves a folder as one repository until closed.

    Args:
        folder: Its files.
        name: The repository's.

    Attributes:
        refuse: One of `REFUSALS`: every answer is that; None for none.
        cut: Part of a path → how often a file of such a path is cut off half-way.
        hold: Part of a path; such a file stops half-way until `released` is set.
        requests: How often each path was asked for.
    """

    def __init__(self, folder: Path, name: str = "tiny/wan"):
        self.folder, self.name = folder, name
        self.refuse: str | None = None
        self.cut: Counter[str] = Counter()
        self.hold: str | None = None
        self.held, self.released = threading.Event(), threading.Event()
        self.requests: Counter[str] = Counter()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub.answer(self)

            do_HEAD = do_GET

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        """Twice does no harm."""
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = unquote(urlsplit(request.path).path)
        self.requests[f"{request.command} {path}"] += 1
        if self.refuse is not None:
            status, headers = REFUSALS[self.refuse]
            return _send(request, status, b"{}", headers)
        api = f"/api/models/{self.name}"
        if re.fullmatch(rf"{api}/revision/[^/]+", path):
            return _json(request, {"id": self.name, "sha": COMMIT, "siblings": []})
        if path.startswith(f"{api}/tree/"):
            return _json(request, [self._listed(file) for file in self._files()])
        if match := re.fullmatch(rf"/{self.name}/resolve/[^/]+/(.+)", path):
            file = self.folder / match[1]
            if file.is_file():
                return self._file(request, file)
            return _send(request, 404, b"", {"X-Error-Code": "EntryNotFound"})
        return _send(request, 404, b"{}", REFUSALS["no repository"][1])

    def _files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())

    def _listed(self, file: Path) -> dict[str, object]:
        content = file.read_bytes()
        entry = {
            "type": "file",
            "path": str(file.relative_to(self.folder)),
            "size": len(content),
            "oid": git_id(content),
        }
        if is_large(file):
            entry["lfs"] = {"oid": etag(file), "size": len(content), "pointerSize": 134}
        return entry

    def _file(self, request: BaseHTTPRequestHandler, file: Path) -> None:
        whole = file.read_bytes()
        first = 0
        headers = {"ETag": f'"{etag(file)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if found := re.match(r"bytes=(\d+)-", request.headers.get("Range", "")):
            first = int(found[1])
            headers["Content-Range"] = f"bytes {first}-{len(whole) - 1}/{len(whole)}"
        content = whole[first:]
        name = str(file.relative_to(self.folder))
        if request.command == "GET":
            for part in self.cut:
                if part in name and self.cut[part]:
                    self.cut[part] -= 1
                    _send(request, 206 if first else 200, content, headers, len(content) // 2)
                    return _hang_up(request)
            if self.hold and self.hold in name:
                _send(request, 206 if first else 200, content, headers, len(content) // 2)
                self.held.set()
                self.released.wait()
                return _hang_up(request)
        return _send(request, 206 if first else 200, content, headers)


@contextmanager
def serving(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """Make it the hub of this process, with an empty cache; nobody waits between attempts."""
    served = FakeHub(folder)
    monkeypatch.setenv("HF_ENDPOINT", served.url)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    for module in (file_download, _http):
        waiting = SimpleNamespace(**{**vars(module.time), "sleep": lambda seconds: None})
        monkeypatch.setattr(module, "time", waiting)
    try:
        yield served
    finally:
        served.close()


def is_large(file: Path) -> bool:
    """Whether the hub keeps a file outside of git."""
    return file.suffix == ".safetensors"


def etag(file: Path) -> str:
    content = file.read_bytes()
    return hashlib.sha256(content).hexdigest() if is_large(file) else git_id(content)


def git_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _hang_up(request: BaseHTTPRequestHandler) -> None:
    request.close_connection = True
    request.connection.shutdown(socket.SHUT_RDWR)


def _json(request: BaseHTTPRequestHandler, data: object) -> None:
    _send(request, 200, json.dumps(data).encode(), {"Content-Type": "application/json"})


def _send(
    request: BaseHTTPRequestHandler,
    status: int,
    content: bytes,
    headers: dict[str, str],
    most: int | None = None,
) -> None:
    request.send_response(status)
    for name, value in {**headers, "Content-Length": str(len(content))}.items():
        request.send_header(name, value)
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(content[:most])
        request.wfile.flush()
