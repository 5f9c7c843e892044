"""A call with too few values is refused in a line, and nothing of it stands in the log."""

import httpx

from bwcache.testing import FakeBackend
from tests.ui.serving import serving

SECRET = "a sentence that nobody should find in a log"


def test_what_was_given_is_not_in_the_log(capfd):
    with serving(FakeBackend()) as served:
        base = f"{served.address}gradio_api/call/predict"
        event = httpx.post(base, json={"data": [SECRET]}, timeout=60).json()["event_id"]
        said = httpx.get(f"{base}/{event}", timeout=60).text
    assert "event: error" in said
    out, err = capfd.readouterr()
    assert SECRET not in out + err
    assert "Traceback" not in out + err
