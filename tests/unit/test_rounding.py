"""A sentence and a tile say the same numbers: the browser's rounding, done in Python."""

import json
import shutil
import subprocess
from pathlib import Path

import playwright
import pytest

from bwcache.cache.methods.bwcache import BWCacheConfig
from bwcache.files import ASSETS
from bwcache.runs.panel_rows import done
from bwcache.runs.request import Request
from bwcache.runs.rounding import EXACT, Shown, rounded
from bwcache.testing import FakeBackend

NODE = shutil.which("node") or Path(playwright.__file__).parent / "driver" / "node"
STATIC = ASSETS.parent / "bwcache" / "ui" / "static"
VALUES = [0.125, 0.375, 2.5, 9.9449, 9.845, 0.995, 0.99996, 1.005, 3.14159, 123.45, 0.0449, 17.25]
# prints what the panel shows of numbers as the rows have them
SCRIPT = """
import { createNumbers } from %s;
const numbers = createNumbers({ locale: "en-GB" });
const values = JSON.parse(process.argv[1]);
console.log(JSON.stringify(values.map((value) => [
  numbers.seconds(value), numbers.fixed(value, 1), numbers.fixed(value, 2), numbers.fixed(value, 3),
])));
"""


def test_by_hand():
    assert f"{Shown(0.125):.2f}" == "0.13"  # Python alone says 0.12
    assert f"{Shown(2.345):seconds}" == "2.3"
    assert f"{Shown(0.345):seconds}" == "0.35"
    assert f"{Shown(float('inf')):.1f}" == "inf"
    assert f"{Shown(0.5)}" == "0.5"


@pytest.mark.skipif(not Path(NODE).is_file(), reason="needs node")
def test_the_browser_rounds_alike():
    module = json.dumps((STATIC / "lib" / "numbers.js").as_uri())
    rows = [rounded(value, EXACT) for value in VALUES]
    command = [str(NODE), "--input-type=module", "-e", SCRIPT % module, json.dumps(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    shown = [
        [f"{Shown(value):{spec}}" for spec in ("seconds", ".1f", ".2f", ".3f")] for value in VALUES
    ]
    assert json.loads(done.stdout) == shown


def test_the_sentence_takes_what_the_tile_takes():
    """The tile shows the difference of the row's own two times."""
    *_, finished = FakeBackend()(Request("a red circle", steps=12, config=BWCacheConfig(0.2, 2)))
    row = done(finished.summary, {})
    gain = Shown(row["baseline_seconds"] - row["cached_seconds"])
    said = row["verdict"]
    assert f"Saved {gain:seconds} s of {Shown(row['baseline_seconds']):seconds} s" in said
    assert f"({Shown(row['speedup']):.2f}×)" in said
    assert f"PSNR {Shown(row['psnr_db']):.1f} dB, SSIM {Shown(row['ssim']):.3f}" in said
