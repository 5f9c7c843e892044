"""A sweep's report in a real browser, from the disk: its table, its chart, nobody else asked."""

import pytest

from bwcache.cli import main
from bwcache.testing import FakeBackend
from tests.e2e.conftest import WAIT

pytestmark = pytest.mark.e2e
PROMPTS = ("a red circle moving right on a white background", "a blue square still on black")


def test_the_report_opens_and_asks_no_other_host(browser, tmp_path, monkeypatch, capsys):
    prompts, out = tmp_path / "prompts.txt", tmp_path / "rows.jsonl"
    prompts.write_text("\n".join(PROMPTS).replace("on black", "on a black background"))
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setattr("bwcache.cli.sweep_jobs.partial", lambda made, as_seen: made)
    backend = FakeBackend()
    failing = FakeBackend(fail_at=2)

    def compare(request, store, device):
        bad = request.seed == 1 and request.config.name == "first_block_cache"
        return (failing if bad else backend)(request, store, device)

    monkeypatch.setattr("bwcache.runs.compare.compare", compare)
    given = ["--prompts", prompts, "--seeds", "0-1", "--thresholds", "0.05,0.2", "--steps", "12"]
    given += ["--set", "first_block_cache.threshold=0.5", "--retries", "0", "--out", out]
    assert main(["sweep", *map(str, given)]) == 1
    capsys.readouterr()

    page = browser.new_context().new_page()
    page.set_default_timeout(WAIT)
    faults, asked = [], []
    page.on("console", lambda said: said.type == "error" and faults.append(said.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    address = (tmp_path / "rows.html").as_uri()
    page.goto(address)
    page.wait_for_selector("#chart .main-svg .points path.point")
    assert page.title() == page.locator("h1").inner_text() == "Sweep: 10 videos, 3 settings"
    assert page.locator(".points path.point").count() == 3
    assert page.locator("#chart .errorbars path").count() >= 3
    assert page.locator("#chart .legendtext").all_text_contents() == [
        "BWCache",
        "First Block Cache",
    ]
    lines = page.locator("table").first.locator("tbody tr").all_inner_texts()
    assert [line.split("\t")[:2] for line in lines] == [
        ["BWCache threshold 0.05, reuse_interval 4", "4"],
        ["BWCache threshold 0.2, reuse_interval 4", "4"],
        ["First Block Cache threshold 0.5", "2"],
    ]
    failed = page.locator("table").nth(1).locator("tbody tr")
    assert failed.count() == 2
    assert "the fake was told to fail" in failed.first.inner_text()
    assert "Measured on cpu: a fake" in page.locator("main").inner_text()
    assert not faults
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [address]
    page.context.close()
