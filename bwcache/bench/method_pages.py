"""Write the frames of `docs/methods/`, a page for each method, and the list of them.

    python -m bwcache.bench.method_pages

What stands between the marks is made of the methods themselves; the idea behind each is written by
hand below it. A test compares, so a changed setting means running this once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from ..cache import calibration
from ..cache.block_stacks import CALLED_PER_BRANCH, CALLED_PER_FRAME, MODULES
from ..cache.knob import Knob
from ..cache.method import Method, RunFacts
from ..cache.methods import METHODS
from ..files import ASSETS
from ..models import CATALOGUE

PAGES = ASSETS.parent / "docs" / "methods"
INDEX = PAGES / "README.md"
BEGIN, END = "<!-- made by bwcache.bench.method_pages -->", "<!-- end -->"
MIB = 2**20
# what a block hands on in Wan 2.1 1.3B at 480p with 81 frames: tokens, channels, bytes in bfloat16
WAN_BYTES = 21 * 30 * 52 * 1536 * 2
WAN_LATENTS = 21 * 60 * 104 * 16 * 2  # of one video there
WAN_BLOCKS, PARTS = 30, ("self", "cross", "mlp")
FORETOLD = {
    "exact": "exactly, from any uncached run of as many steps",
    "estimate": "as an estimate, from an uncached run that measured",
    "none": "not: what it decides by is measured in the cached run itself",
}


def frame(name: str) -> str:
    """The generated part of a method's page."""
    method = METHODS[name]
    config = method()
    return "\n".join(
        [
            BEGIN,
            f"# {method.title}",
            "",
            f"{method.about} Source: {method.source}.",
            "",
            "```python",
            f"from bwcache import {method.__name__}, cached",
            "",
            f"with cached(pipe, {method.__name__}({_first(config)})) as run:",
            "    pipe(prompt)",
            "```",
            "",
            f"On the command line `--method {name}`, on the page in its Method field, in the API",
            f'`method="{name}"`.',
            "",
            "| setting | meaning | default | allowed |",
            "|---|---|---|---|",
            *(_row(knob, config) for knob in method.knobs()[:-3]),
            f"| `warm_up_steps` | as every method's | {_shown(config.warm_up_steps)} | |",
            "",
            *_facts(name, config),
            END,
        ]
    )


def _first(config: Method) -> str:
    name = config.knobs()[0].name
    value = getattr(config, name)
    return f"{name}={json.dumps(value) if isinstance(value, str) else repr(value)}"


def _row(knob: Knob, config: Method) -> str:
    meaning = knob.expert.replace("|", r"\|")
    default = _shown(getattr(config, knob.name))
    return f"| `{knob.name}` | {meaning} | {default} | {knob.allowed} |"


def _shown(value: object) -> str:
    return "–" if value in ("", (), None) else f"`{value!r}`"


def _facts(name: str, config: Method) -> Iterator[str]:
    modules = config.site == "modules"
    parts = PARTS * WAN_BLOCKS if modules else ()
    run = RunFacts(30, len(parts) or WAN_BLOCKS, model="tinyworld", parts=parts)
    spans, each = len(config.kept(run)), _tensors(config.replay)
    what = "one for each block" if spans == WAN_BLOCKS else "one for the stack"
    if modules:
        what = f"one for each of {spans // WAN_BLOCKS} modules a block"
    size = spans * each * WAN_BYTES
    if config.site == "call":
        yield (
            "- **Memory**, for each guidance branch: two tensors of the latents' size. On Wan 2.1 "
            f"at 480p about {2 * WAN_LATENTS / MIB:,.0f} MiB (reckoned, not measured)."
        )
    elif config.site == "chunks":
        what, each = "one for the stack, keys and values of each block", 1 + 2 * WAN_BLOCKS
        size = each * WAN_BYTES
        yield (
            f"- **Memory**, for each guidance branch: {what}, {each} of a block's output in all, "
            "and one more for the first branch. At the size of Wan 2.1 1.3B at 480p about "
            f"{size / MIB:,.0f} MiB (reckoned, not measured)."
        )
    elif spans:
        yield (
            f"- **Memory**, for each guidance branch: {what}, {each} of a block's output each. On "
            f"Wan 2.1 1.3B at 480p about {size / MIB:,.0f} MiB (reckoned, not measured)."
        )
    if config.guidance != "unused":
        yield (
            "- **Memory**, for each guidance branch but the first: how its output differs, a "
            f"tensor of the latents' size. On Wan 2.1 at 480p about {WAN_LATENTS / MIB:,.0f} MiB "
            "(reckoned, not measured)."
        )
    yield f"- **What-if**: foretold {FORETOLD[config.forecast]}."
    probes = [probe.of for probe in config.probes(run)]
    measured = ", ".join(dict.fromkeys(_words(each) for each in probes)) or "nothing"
    yield f"- **Measured while it runs**: {measured}."
    yield f"- **Works on**: {_where(name, config)}"


def _tensors(replay: str) -> int:
    """How many tensors of a span's size a replay keeps."""
    if replay.startswith("taylor"):
        return 1 + int(replay.partition(":")[2])
    return {"forecast": 2, "mix": 4}.get(replay, 1)


def _words(of: str) -> str:
    return {
        "output": "blocks' outputs",
        "residual": "what blocks add",
        "call_input": "the transformer's input",
        "call_output": "its output",
        "call_motion": "how its output differs from frame to frame",
        "chunks": "how each chunk's tokens differ from the step before, ahead of the first block",
        "guidance": "by how much the estimate of a guidance branch misses",
    }.get(of, f"the blocks' `{of}`")


def _where(name: str, config: Method) -> str:
    if config.site == "modules":
        return f"{', '.join(MODULES)}, whose modules are known; others are refused before the run."
    if config.site == "chunks":
        return (
            f"{', '.join(CALLED_PER_FRAME)} in the pipelines of diffusion forcing (text, image or "
            "video to video), in one process, its blocks not compiled; others are refused before "
            "the run."
        )
    if config.guidance == "needed":
        return (
            f"{', '.join(CALLED_PER_BRANCH)}, which are called once for each guidance branch, with "
            "guidance on; others, and runs without a second branch, are refused before they run."
        )
    if config.long_skips:
        return (
            "transformers with long skips, of the catalogue tinyworld-skip; others are refused "
            "before they run."
        )
    if not config.calibrated:
        return "every pipeline that `cached` works on."
    here, borrowed = [], []
    for model in CATALOGUE:
        if calibration.is_known(model, name):
            found = calibration.needed(model, name)
            (borrowed if found.borrowed else here).append(f"{model} ({_steps(found)})")
    said = f"calibrated here on {', '.join(here)}"
    if borrowed:
        said += f"; borrowed, uncalibrated here, on {', '.join(borrowed)}"
    rest = f"`python -m bwcache calibrate {name} MODEL` makes a calibration of another"
    without = "" if config.needs_calibration else ", and it runs without one, too"
    return f"{said}. {rest}{without}."


def _steps(found: calibration.Calibration) -> str:
    *most, last = sorted(found.by_steps)
    counts = f"{', '.join(map(str, most))} and {last}" if most else str(last)
    shift = found.made.get("flow_shift")
    return f"{counts} steps" + (f", flow shift {shift:g}" if shift is not None else "")


def index() -> str:
    """The list of all methods."""
    rows = [
        f"| [{method.title}]({name}.md) | {method.about} | {_short(method())} | {method.source} |"
        for name, method in METHODS.items()
    ]
    return "\n".join(
        [BEGIN, "| method | what it does | calibrated | source |", "|---|---|---|---|", *rows, END]
    )


def _short(config: Method) -> str:
    if config.needs_calibration:
        return "needed"
    return "possible" if config.calibrated else "no"


def with_frame(text: str, made: str) -> str:
    """A page with its frame made anew; what is written by hand stays."""
    if BEGIN not in text:
        return f"{made}\n\n{text}".rstrip() + "\n"
    before, _, rest = text.partition(BEGIN)
    return before + made + rest.partition(END)[2]


def main() -> None:
    """Write all pages."""
    PAGES.mkdir(parents=True, exist_ok=True)
    for path, made in {
        INDEX: index(),
        **{PAGES / f"{name}.md": frame(name) for name in METHODS},
    }.items():
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        path.write_text(with_frame(text, made), encoding="utf-8")


if __name__ == "__main__":
    main()
