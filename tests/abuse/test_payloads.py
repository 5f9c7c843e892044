"""Payloads that nobody sane sends, to every endpoint that answers, the private ones included."""

import itertools
import json
import re
import tempfile
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bwcache.testing import FakeBackend
from bwcache.ui import api, events
from tests.reliability import amount, small_files
from tests.ui.serving import serving

pytestmark = pytest.mark.abuse
ROOT = Path(__file__).parents[2]
PAYLOADS = amount(short=240, full=2400)
HEARD = 120  # seconds that an answer may take, on a machine that does much else
# of a server's file system, or of Python's
FOLDERS = "|".join(re.escape(each) for each in (str(ROOT), tempfile.gettempdir() + "/"))
TELLING = re.compile(rf'Traceback|File "|{FOLDERS}|site-packages')

NASTY = st.sampled_from(
    [
        *("", " ", "\0", "\x1b[2J", "\u202e", "'", '"', "<script>alert(1)</script>", "{{7*7}}"),
        *("../..", "/etc/passwd", "file:///etc/passwd", "http://127.0.0.1:1/", "%s%n", "${x}"),
        *("__proto__", "constructor", "NaN", "1e400", "9" * 300, "a" * 5000, "all", "0.5"),
        *("tinyworld", "bwcache", "recheck", "a red circle moving right on a white background"),
    ]
)
NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.integers(-3, 40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, -1, 1e308, 2**53, 10**400, -(10**5)]),
)
FILES = st.fixed_dictionaries(
    {"path": st.one_of(NASTY, st.none(), NUMBERS)},
    optional={
        "url": NASTY,
        "meta": st.one_of(st.just({"_type": "gradio.FileData"}), NASTY, st.none()),
        "size": NUMBERS,
        "orig_name": NASTY,
        "is_stream": st.booleans(),
    },
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, NASTY, st.text(max_size=30), FILES),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(NASTY, st.text(max_size=8)), inner, max_size=4),
    ),
    max_leaves=12,
)
BODIES = st.one_of(
    VALUES,
    st.binary(max_size=200),
    st.sampled_from([b"{", b"[" * 5000, b'{"data":' + b"9" * 6000 + b"}", b"\xff\xfe", b"NaN"]),
)


@pytest.fixture(scope="module")
def served():
    with pytest.MonkeyPatch.context() as patched:
        for module in (api, events):
            patched.setattr(module, "save", small_files)
        with serving(FakeBackend()) as found:
            found.config = httpx.get(f"{found.address}config").json()
            yield found


def encoded(body: object) -> bytes:
    if isinstance(body, bytes):
        return body
    return json.dumps(body).encode("utf-8", "surrogatepass")


def is_refusal(text: str) -> bool:
    """Whether a 500 is Gradio's way to say no: an object with an error, perhaps without words."""
    try:
        return "error" in json.loads(text)
    except (ValueError, TypeError):
        return False


class Door:
    """The page's endpoints, and what each said that it should not have."""

    def __init__(self, served):
        self.served, self.client = served, httpx.Client(base_url=served.address, timeout=HEARD)
        self.sessions = itertools.count()
        self.sent, self.wrong = 0, []
        self.dependencies = served.config["dependencies"]
        with_token = {"accept": "*/*"}
        self.paths = sorted(
            {
                re.sub(r"\{[^}]*\}", "x", route.path)
                for route in served.page.app.routes
                if "POST" in (getattr(route, "methods", None) or ())
            }
        )
        self.headers = with_token

    def look(self, what: str, answer: httpx.Response) -> None:
        broken = answer.status_code >= 500 and not is_refusal(answer.text)
        if broken or TELLING.search(answer.text):
            self.wrong.append((what, answer.status_code, answer.text[:300]))

    def queue(self, dependency: dict, data: object) -> None:
        """As a browser does it: into the queue, and its answer heard to the end."""
        self.sent += 1
        session = f"abuse{next(self.sessions)}"
        body = encoded({"fn_index": dependency["id"], "data": data, "session_hash": session})
        what = f"event {dependency['id']} ({dependency['api_name']})"
        joined = self.post("gradio_api/queue/join", body, what)
        if joined.status_code != 200:
            return
        address = "gradio_api/queue/data"
        with self.client.stream("GET", address, params={"session_hash": session}) as stream:
            for line in stream.iter_lines():
                if TELLING.search(line):
                    self.wrong.append((what, "said", line[:300]))
                if '"process_completed"' in line or '"close_stream"' in line:
                    return
        self.wrong.append((what, "no end", ""))

    def direct(self, dependency: dict, data: object) -> None:
        """Past the queue, and by the names that programs use."""
        body = encoded({"data": data, "fn_index": dependency["id"]})
        for path in (
            f"gradio_api/run/{dependency['api_name']}",
            f"gradio_api/call/{dependency['api_name']}",
            f"gradio_api/call/v2/{dependency['api_name']}",
            "gradio_api/api/predict",
        ):
            self.sent += 1
            named = "/v2/" in path and isinstance(data, dict)
            self.post(path, encoded(data) if named else body, path)

    def post(self, path: str, body: bytes, what: str) -> httpx.Response:
        answer = self.client.post(
            path.lstrip("/"), content=body, headers={"content-type": "application/json"}
        )
        self.look(what, answer)
        return answer

    def bare(self, path: str, body: object) -> None:
        """A body of whatever kind to any address that takes one."""
        self.sent += 1
        self.post(path, encoded(body), path)


def test_no_payload_gets_through_or_stops_the_page(served, tried):
    door = Door(served)
    per_example = 1 + 4 + 1  # requests of one example, see below

    @settings(
        max_examples=-(-PAYLOADS // per_example),
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def attack(data):
        dependency = data.draw(st.sampled_from(door.dependencies))
        number = len(dependency["inputs"])
        right = data.draw(st.integers(0, 9))
        sent = (
            data.draw(st.lists(VALUES, min_size=number, max_size=number))
            if right
            else data.draw(VALUES)
        )
        door.queue(dependency, sent)
        door.direct(dependency, data.draw(st.one_of(st.just(sent), VALUES)))
        door.bare(data.draw(st.sampled_from(door.paths)), data.draw(BODIES))

    attack()
    for dependency in door.dependencies:  # every one, whatever was drawn
        door.queue(dependency, [None] * len(dependency["inputs"]))
    for path in door.paths:
        door.bare(path, b"{")
    assert httpx.get(f"{served.address}health").json() == {
        "status": "ok",
        "running": 0,
        "waiting": 0,
    }
    tried("payloads made by hypothesis, to every endpoint", door.sent, len(door.wrong))
    assert door.sent >= PAYLOADS
    assert not door.wrong, "\n".join(map(str, door.wrong[:40]))
