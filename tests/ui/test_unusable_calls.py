"""A call that cannot be used is refused in a line, and nothing of it stands in the log."""

import httpx
import pytest

from bwcache.testing import FakeBackend
from tests.ui.serving import serving

SECRET = "a sentence that nobody should find in a log"


@pytest.fixture(scope="module")
def served():
    with serving(FakeBackend()) as found:
        yield found


def test_what_was_given_is_not_in_the_log(served, capfd):
    base = f"{served.address}gradio_api/call/predict"
    event = httpx.post(base, json={"data": [SECRET]}, timeout=60).json()["event_id"]
    said = httpx.get(f"{base}/{event}", timeout=60).text
    assert "event: error" in said
    out, err = capfd.readouterr()
    assert SECRET not in out + err
    assert "Traceback" not in out + err


@pytest.mark.parametrize(
    ("name", "given", "status", "said"),
    [
        ("nothing", {"prompt": SECRET}, 404, "There is no endpoint of this name."),
        ("on_run", {"data": [SECRET]}, 404, "There is no endpoint of this name."),
        ("compare", {"seed": 1}, 422, "No value provided for required argument: prompt"),
        ("compare", {"wish": SECRET}, 422, "Parameter `wish` is not a valid key-word argument."),
        ("compare", {SECRET * 20: 1}, 422, "Parameter `"),
        ("compare", {"\x1b[2J": 1}, 422, "Parameter `\\x1b[2J`"),
        ("compare", {}, 422, "No value provided"),
    ],
)
def test_a_call_by_name_that_cannot_be_used(name, given, status, said, served, capfd):
    answer = httpx.post(f"{served.address}gradio_api/call/v2/{name}", json=given, timeout=60)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    assert answer.json()["detail"].startswith(said)
    assert len(answer.text) < 400
    out, err = capfd.readouterr()
    assert SECRET not in out + err
    assert "Traceback" not in out + err


def test_nobody_sees_or_asks_for_the_traffic(served, capfd):
    """Gradio would print a secret address of it for each who asks."""
    for path in ("monitoring", "monitoring/x", "monitoring/summary"):
        assert httpx.get(f"{served.address}{path}").status_code in (401, 403, 404)
    assert "onitoring URL" not in "".join(capfd.readouterr())


def test_other_errors_are_still_the_hosts_to_see(served):
    async def broken():
        raise KeyError("x")

    served.page.app.add_api_route("/broken", broken)
    served.page.app.routes.insert(0, served.page.app.routes.pop())
    assert httpx.get(f"{served.address}broken").status_code == 500
