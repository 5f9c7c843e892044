"""Make the pictures of the page: a comparison with the default prompt, at many sizes, two looks.

    python -m tests.e2e.screenshots [FOLDER]      (assets/figures without one)

`page-…`: the whole page. `screen-…`: what one sees without scrolling, midway and finished.
`stage-…`: the stage. `methods.png`: the leaderboard's chart. And the picture of link previews.
Needs Playwright and a Chromium: the one on the path, or Playwright's own.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from playwright.sync_api import Browser, Page, sync_playwright

from bwcache.bench.methods_chart import chart_page
from bwcache.bench.methods_results import RESULTS
from bwcache.models.machine import default_device
from bwcache.runs.compare import compare
from bwcache.ui import Host, build, launch
from bwcache.ui.link_preview import PICTURE, SIZE

FLAGS = ["--no-sandbox", "--disable-quic"]
FIGURES = Path(__file__).parents[2] / "assets" / "figures"
PAGES = {390: 844, 768: 1024, 1440: 900}  # width: height, CSS pixels
SCREENS = {1280: 720, 1440: 900, 1920: 1080}
SCHEMES = ("light", "dark")
PATIENCE = 900_000  # ms for a comparison
FRAME = 9  # of the paused videos
MIDWAY = 8  # steps of the cached run
PREVIEW_SCALE = 0.75  # of the stage on the picture of link previews
SETTLING = 1500  # ms: the charts take the new size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=FIGURES)
    parser.add_argument("--chart", action="store_true", help="the methods' chart alone")
    args = parser.parse_args()
    folder = args.folder
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        methods_chart(browser, folder)
        browser.close()
    if not args.chart:
        of_the_page(folder)


def methods_chart(browser: Browser, folder: Path) -> None:
    """The leaderboard's chart."""
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    visit = browser.new_page(viewport={"width": 1200, "height": 760})
    visit.set_content(chart_page(found))
    visit.wait_for_selector("#chart .main-svg")
    shoot(visit, folder / "methods.png")


def of_the_page(folder: Path) -> None:
    page = build(compare, Host(default_device()))
    _, address, _ = launch(page, prevent_thread_lock=True, quiet=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        visit = browser.new_page(viewport={"width": 1440, "height": 900})
        visit.set_default_timeout(PATIENCE)
        visit.goto(address)
        generate(visit, folder)
        # One comparison serves every picture: only the size and the look change.
        for scheme in SCHEMES:
            look(visit, scheme)
            for width, height in PAGES.items():
                resize(visit, width, height)
                shoot(visit, folder / f"page-{scheme}-{width}.png", full_page=True)
            for width, height in SCREENS.items():
                resize(visit, width, height)
                shoot(visit, folder / f"screen-{scheme}-{width}.png")
            visit.locator(".bw-stage-switch").click()
            for width, height in SCREENS.items():
                resize(visit, width, height)
                shoot(visit, folder / f"stage-{scheme}-{width}.png")
            visit.locator(".bw-stage-switch").click()
            resize(visit, 1440, 900)
            shoot(visit, folder / f"stage-{scheme}.png")  # the README's
        preview(browser, address, folder)
        browser.close()
    page.close(verbose=False)


def generate(visit: Page, folder: Path) -> None:
    """Run a comparison to its end, with a picture midway, and pause both videos on one frame."""
    visit.wait_for_selector(".bw-empty")
    visit.get_by_role("button", name="Generate").click()
    visit.wait_for_selector(f".bw-lane[data-run=cached] i:nth-child({MIDWAY})", state="attached")
    shoot(visit, folder / "screen-running.png")
    finish(visit)
    for chart in (".bw-plot", ".bw-chart"):  # each is drawn when it is first in sight
        visit.locator(chart).scroll_into_view_if_needed()
        visit.wait_for_selector(f"{chart} .main-svg")


def finish(visit: Page) -> None:
    visit.wait_for_selector(".bw[data-phase=done], .bw[data-phase=nothing]")
    visit.wait_for_selector(".bw-transport:not([hidden])")
    visit.get_by_label("Position in both videos").fill(str(FRAME))


def preview(browser: Browser, address: str, folder: Path) -> None:
    """The stage as link previews show it; into the package where no folder is given."""
    width, height = (round(pixels / PREVIEW_SCALE) for pixels in SIZE)
    context = browser.new_context(
        viewport={"width": width, "height": height}, device_scale_factor=PREVIEW_SCALE
    )
    visit = context.new_page()
    visit.set_default_timeout(PATIENCE)
    visit.goto(f"{address}?stage=1")
    visit.wait_for_selector(".bw-empty")
    visit.get_by_role("button", name="Generate").click()
    finish(visit)
    visit.wait_for_timeout(SETTLING)
    path = PICTURE if folder == FIGURES else folder / PICTURE.name
    visit.screenshot(path=path, type="jpeg", quality=82)
    print(path)


def look(visit: Page, scheme: str) -> None:
    visit.evaluate("dark => document.body.classList.toggle('dark', dark)", scheme == "dark")


def resize(visit: Page, width: int, height: int) -> None:
    visit.set_viewport_size({"width": width, "height": height})
    visit.evaluate("scrollTo(0, 0)")
    visit.wait_for_timeout(SETTLING)


def shoot(visit: Page, path: Path, full_page: bool = False) -> None:
    visit.screenshot(path=path, full_page=full_page)
    print(path)


if __name__ == "__main__":
    main()
