"""Write the README's sections on cost, forecast and reliability, and the results in docs/gpu.md,
docs/reliability.md and docs/scale.md, from the recorded results.

    python -m bwcache.bench.readme

A test compares them, so a new result means running this once.
"""

from __future__ import annotations

import json
from pathlib import Path

from ..files import ASSETS
from . import gpu_numbers, scale_text
from .methods_text import on_the_same_work

ROOT = ASSETS.parent
README = ROOT / "README.md"
GPU = ROOT / "docs" / "gpu.md"
RELIABILITY = ROOT / "docs" / "reliability.md"
SCALE = ROOT / "docs" / "scale.md"
RESULTS = "assets/results"
MIB = 2**20


def result(name: str) -> dict:
    return json.loads((ROOT / RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def cost() -> str:
    """What the indicator and the caching cost on TinyWorld."""
    time, memory = result("tinyworld-overhead"), result("tinyworld-memory")
    sampling = result("sampling-tinyworld")
    (sampled,) = [
        row["grid"]
        for row in sampling["samplings"]
        if (row["indicator_blocks"], row["indicator_tokens"]) == (None, 128)
    ]

    def ratio(name: str, median: str = "_median") -> str:
        low, high = time[f"{name}_min"], time[f"{name}_max"]
        return f"{time[name + median]:.3f} | {low:.2f}–{high:.2f}"

    part = {name: f"{memory[f'{name}_bytes'] / MIB:.1f}" for name in ("extra", "stack", "sample")}
    return f"""\
The paper's indicator takes 10.6–22.5 % of the time and keeps every block's output. Ours samples 128
tokens of each block, reads them once a step, and keeps one tensor a guidance branch to replay. On
TinyWorld (`{time["device"]}`):

| | measured | spread |
|---|---|---|
| time at threshold 0, over no hooks | {ratio("ratio")}, {time["rounds"]} interleaved rounds |
| the same, paper-style (all blocks, all tokens, a host read each) | {ratio("paper_style_ratio")} |
| measured speed-up over the ideal one of its schedule | {ratio("efficiency", "")} |
| memory over an uncached run | {part["extra"]} MiB: {part["stack"]} to replay, \
{part["sample"]} of samples | exact |
| steps decided as by the exact indicator | {100 * sampled["steps_equal"]:.1f} % | \
{len(sampling["thresholds"])} thresholds × {sampling["prompts"]} prompts |
| whole schedules as by the exact indicator | {100 * sampled["schedules_equal"]:.1f} % | the same |

([overhead]({RESULTS}/tinyworld-overhead.json), [memory]({RESULTS}/tinyworld-memory.json),
[sampling]({RESULTS}/sampling-tinyworld.json).) So small a model is the hard case: a step takes
{1000 * time["plain_seconds_median"] / time["steps"]:.0f} ms, so that a few dozen operations
show, and its features are so few that even the paper's way costs little.

{gpu_numbers.cost(ROOT / RESULTS)}"""


def forecast() -> str:
    """What the forecast gains, and where caching stops paying."""
    found = result("tinyworld-methods")
    gain, stops = found["forecast_against_holding"], found["where_caching_stops_paying"]
    rows = {
        "BWCache + forecast": "bwcache-forecast",
        "BWCache (paper)": "bwcache-residual",
        "BWCache (block output)": "bwcache-output",
        'BWCache (paper), `gate="recheck"`': "bwcache-residual-recheck",
        "fewer uncached steps": "fewer-steps",
    }
    table = "\n".join(
        f"| {title} | {_decibels(found['psnr_at_2x'][name])} | "
        f"{_decibels(found['psnr_at_half'][name])} |"
        for title, name in rows.items()
    )
    return f"""\
Holding the last residual wastes what is known: it moves smoothly. `reuse="forecast"` (ours, not in
the paper) continues it along its last change, linear in the noise level: by at most half of that
change, less the larger the change is, and not before three steps have been computed. Against
holding, the worst of {gain["pairs"]} pairs of the same setting and prompt was \
{gain["worst_db"]:+.1f} dB, the mean {gain["mean_db"]:+.1f} dB.
It costs one more tensor a branch.

| TinyWorld, {len(found["prompts"])} prompts | PSNR at 2× | PSNR with half of the steps computed |
|---|---|---|
{table}

([results]({RESULTS}/tinyworld-methods.json); interpolated on each method's own frontier.) Caching
stops paying, that is, fewer uncached steps come within 1 dB in the same time, at \
{stops["bwcache-residual"]:.0f} computed steps of
{found["steps"]} for the paper's method and at {stops["bwcache-forecast"]:.0f} for the
forecast; the page says so when a setting goes there.
"""


def _decibels(value: float | None) -> str:
    """A frontier ends somewhere: what lies beyond was not measured."""
    return "not reached" if value is None else f"{value:.1f} dB"


def on_a_gpu() -> str:
    """What has been run on a GPU, and what has not."""
    return gpu_numbers.report(ROOT / RESULTS)


def tried() -> str:
    """What was tried to make something break, how often, and what was lost."""
    found = result("reliability")
    rows = "\n".join(
        f"| {row['kind']} | {row['what']} | {row['tried']} | {row['lost']} |"
        for row in found["rows"]
    )
    when = f", {found['date']}, commit {found['commit']}" if "date" in found else ""
    device = found.get("device", "a CPU")
    return f"""\
`pytest -m "load or faults or abuse"` in its {found["form"]} form, on {device}{when}
([results]({RESULTS}/reliability.json)); a test that fails is a loss:

| kind | what was tried | how often | lost |
|---|---|---|---|
{rows}
{_ends(found.get("ends"), device)}"""


def _ends(found: dict | None, device: str) -> str:
    """How long servers that were told to stop went on; nothing where that was not measured."""
    if found is None:
        return ""
    median, slowest = found["median_seconds"], found["slowest_seconds"]
    return f"""
Ctrl+C and SIGTERM were sent to {found["signals"]} servers, idle and in a run. From the signal to
the end of the process: median {median:.1f} s, slowest end {slowest:.1f} s, measured on {device}.
"""


def tried_in_docs() -> str:
    """The same, linked from a folder below."""
    return tried().replace(f"]({RESULTS}", f"](../{RESULTS}")


def compared() -> str:
    """Who is how close at equal work."""
    found = on_the_same_work(result("leaderboard"), f"{RESULTS}/leaderboard.json")
    return f"""\
`python -m bwcache bench methods` runs every method over its main setting on the same prompts,
seeds and noise, chooses the values on some prompts ([these](assets/prompts/methods-choose.txt))
and reports on others ([these](assets/prompts/methods-report.txt)). Work is the share of block
evaluations; attentions and MLPs that are replayed singly are weighed by their operations. The
uncached runs are what a cache has to beat: fewer steps, fewer steps at a larger flow shift, and
fewer steps on the very noise levels that BWCache+ computes. Each run is a line of
[methods-rows.jsonl](assets/results/methods-rows.jsonl) or, of those made on a GPU,
[methods-rows-gpu.jsonl](assets/results/methods-rows-gpu.jsonl): `--log` with a copy goes on there.

{found}
![Median speed-up against mean PSNR, a line for each method](assets/figures/methods.png)

Where ours is behind it is mostly an uncached run that is ahead: a larger flow shift makes the time
grid itself dense where it matters, and leaves a cache less to gain. One small model says nothing of
larger ones: measure yours. On the page, “Compare the methods” does it for one prompt.
"""


def visitors() -> str:
    """How many visitors some devices hold, and what they cost."""
    return scale_text.visitors(result("scale"))


SECTIONS = {
    README: {
        "What it costs": cost,
        "A replay that follows the trend": forecast,
        "Every method on the same work": compared,
        "What was tried to break it": tried,
    },
    GPU: {"Results": on_a_gpu},
    RELIABILITY: {"What was tried": tried_in_docs},
    SCALE: {"Visitors": visitors},
}


def with_sections(text: str, path: Path = README) -> str:
    """A document with its measured sections written anew."""
    for title, write in SECTIONS[path].items():
        head, rest = text.split(f"## {title}\n", 1)
        after = rest[rest.index("\n## ") :] if "\n## " in rest else ""
        text = f"{head}## {title}\n\n{write()}{after}"
    return text


if __name__ == "__main__":
    for path in SECTIONS:
        path.write_text(with_sections(path.read_text(encoding="utf-8"), path), encoding="utf-8")
