"""Make the pictures of the page: a comparison with the default prompt, at three widths, two looks.

    python -m tests.e2e.screenshots [FOLDER]      (assets/figures without one)

Needs Playwright and a Chromium: the one on the path, or Playwright's own.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from playwright.sync_api import Page, sync_playwright

from bwcache.models.machine import default_device
from bwcache.runs.compare import compare
from bwcache.ui import Host, build, launch

FIGURES = Path(__file__).parents[2] / "assets" / "figures"
SIZES = {390: 844, 768: 1024, 1440: 900}  # width: height, CSS pixels
SCHEMES = ("light", "dark")
PATIENCE = 900_000  # ms for a comparison
FRAME = 9  # of the paused videos


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=FIGURES)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    page = build(compare, Host(default_device()))
    _, address, _ = launch(page, prevent_thread_lock=True, quiet=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-quic"]
        )
        visit = browser.new_page(viewport={"width": 1440, "height": 900})
        visit.set_default_timeout(PATIENCE)
        visit.goto(address)
        generate(visit)
        # One comparison serves every picture: only the size and the look change.
        for scheme in SCHEMES:
            visit.evaluate("dark => document.body.classList.toggle('dark', dark)", scheme == "dark")
            for width, height in SIZES.items():
                visit.set_viewport_size({"width": width, "height": height})
                visit.wait_for_timeout(1500)  # the charts take the new size
                path = folder / f"page-{scheme}-{width}.png"
                visit.screenshot(path=path, full_page=True)
                print(path)
            # What one sees without scrolling, for the README and for slides.
            visit.evaluate("scrollTo(0, 0)")
            visit.screenshot(path=folder / f"stage-{scheme}.png")
        browser.close()
    page.close(verbose=False)


def generate(visit: Page) -> None:
    """Run a comparison to its end and pause both videos on the same frame."""
    visit.wait_for_selector(".bw-empty")
    visit.get_by_role("button", name="Generate").click()
    visit.wait_for_selector(".bw[data-phase=done], .bw[data-phase=nothing]")
    visit.wait_for_selector(".bw-transport:not([hidden])")
    visit.get_by_label("Position in both videos").fill(str(FRAME))
    visit.locator(".bw-chart").scroll_into_view_if_needed()  # what draws it
    visit.wait_for_selector(".bw-chart .main-svg")


if __name__ == "__main__":
    main()
