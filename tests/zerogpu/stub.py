"""A stand-in for ZeroGPU's device API: grants a card, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

GRANTED = {"idle": True, "nvidiaIndex": 0, "nvidiaUUID": "GPU-x", "allowToken": "t"}


@dataclass(frozen=True)
class Answer:
    """What a request for a card is answered: a status, headers, and a body (JSON, or events)."""

    status: int = 200
    body: object = field(default_factory=lambda: GRANTED)
    headers: tuple[tuple[str, str], ...] = ()


class DeviceAPI:
    """Serves inside a `with`.

    `asked` holds (path, parameters) of each request; `next_answers` what the next requests for a
    card are answered, first one first, before all others are granted.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.next_answers: list[Answer] = []

    def __enter__(self) -> DeviceAPI:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def of(self, path: str) -> list[dict[str, str]]:
        """The parameters of each request of one path, oldest first."""
        return [parameters for there, parameters in self.asked if there == path]

    def _handler(api) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                url = urlsplit(self.path)
                parameters = {name: values[-1] for name, values in parse_qs(url.query).items()}
                api.asked.append((url.path, parameters))
                answer = Answer(body={})
                if url.path == "/schedule":
                    answer = api.next_answers.pop(0) if api.next_answers else Answer()
                stream = isinstance(answer.body, str)
                body = (answer.body if stream else json.dumps(answer.body)).encode()
                self.send_response(answer.status)
                self.send_header(
                    "Content-Type", "text/event-stream" if stream else "application/json"
                )
                self.send_header("Content-Length", str(len(body)))
                for name, value in answer.headers:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments) -> None:
                """Says nothing."""

        return Handler
