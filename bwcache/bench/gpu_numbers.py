"""What the committed results of `bench gpu` say, in words and tables, for README and docs/gpu.md.

What was never measured says so. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .gpu.pieces import PARTS, PIECES
from .gpu.results import DONE, path_of, read

MIB = 2**20
CALL = "python -m bwcache bench gpu --minutes 25 --out DIR"
NOT_MEASURED = "not measured"
MODELS = {
    "wan2.1-t2v-1.3b": "Wan 2.1 1.3B",
    "wan2.1-t2v-1.3b compiled": "the same, compiled blocks",
    "cogvideox-2b": "CogVideoX 2B",
    "ltx-video": "LTX-Video",
    "hunyuanvideo-1.5": "HunyuanVideo 1.5",
    "wan2.1-t2v-14b": "Wan 2.1 14B",
    "wan2.2-t2v-a14b": "Wan 2.2 A14B",
}
OTHERS = {
    "first_block_cache": "First Block Cache",
    "magcache": "MagCache",
}
Result = Mapping[str, Any]


def measured(folder: Path) -> dict[str, Result]:
    """Of each model that was measured at its real shapes, the piece's entry."""
    return {
        name: entry
        for name, entry in read("cost", folder).items()
        if _real(entry) and entry["result"].get("rounds")  # type: ignore[attr-defined]
    }


def _real(entry: Result) -> bool:
    return not entry.get("small") and isinstance(entry.get("result"), Mapping)


def cost(folder: Path) -> str:
    """The README's paragraph and table."""
    found = measured(folder)
    if not found:
        return (
            "On a GPU at real models' shapes **nothing has been measured yet**. "
            f"[How](docs/gpu.md):\n`{CALL}`.\n"
        )
    every = read("cost", folder)
    rows = "\n".join(
        _row(title, every.get(name, {}), name in found) for name, title in MODELS.items()
    )
    return f"""\
At real models' shapes, with random weights, on {_devices(found)} \
([results]({_link("cost")}), [how](docs/gpu.md)):

| | size | a step | indicator | paper-style | kept, MiB: stack + samples | \
speed-up over the ideal |
|---|---|---|---|---|---|---|
| the paper says | | | | 10.6–22.5 % | every block's output | |
| our goal | | | at most 1 % | | one stack tensor a branch + 64 | at least 0.97 |
{rows}

Medians and, in brackets, the smallest and the largest of interleaved rounds; “indicator” is the
time that measuring adds.
"""


def _row(title: str, entry: Result, is_measured: bool) -> str:
    if not is_measured:
        size, seconds = NOT_MEASURED, ""
        for tried in entry["result"].get("tried_shapes", [])[:1] if _real(entry) else []:
            if "seconds_a_step" in tried:
                size = f"{tried['frames']} frames; the rest {NOT_MEASURED}"
                seconds = f"{tried['seconds_a_step']:.1f} s"
        return f"| {title} | {size} | {seconds} | | | | |"
    of = entry["result"]
    shape, memory = of["shape"], of["memory"]
    size = f"{shape['width']}×{shape['height']}, {shape['frames']} frames"
    if shape["frames"] < of["full_frames"]:
        size += f" of {of['full_frames']}"
    kept = NOT_MEASURED
    if memory["stack_bytes"] is not None:
        kept = f"{memory['stack_bytes'] / MIB:.0f} + {memory['sample_bytes'] / MIB:.1f}"
    return (
        f"| {title} | {size} | {of['seconds_a_step']['median']:.2f} s "
        f"| {_over(of, 'ratio')} | {_over(of, 'paper_style_ratio')} | {kept} "
        f"| {_number(of['efficiency'])} "
        f"({_number(of['efficiency_min'])}–{_number(of['efficiency_max'])}) |"
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _over(of: Result, name: str) -> str:
    """A ratio to the plain run as what it adds: "0.4 % (0.3 to 0.6)"."""
    if (middle := of.get(f"{name}_median")) is None:
        return NOT_MEASURED
    low, high = (100 * (of[f"{name}_{end}"] - 1) for end in ("min", "max"))
    return f"{100 * (middle - 1):.2f} % ({low:.2f} to {high:.2f})"


def _devices(found: Mapping[str, Result]) -> str:
    names = dict.fromkeys(entry["machine"]["device"] for entry in found.values())
    return " and ".join(f"`{name}`" for name in names)


def _link(part: str, folder: str = "assets/results") -> str:
    return path_of(part, Path(folder)).as_posix()


def report(folder: Path) -> str:
    """The state of every part, and the other methods, for docs/gpu.md."""
    lines = []
    for part, about in PARTS.items():
        entries = {name: entry for name, entry in read(part, folder).items() if _real(entry)}
        if not entries:
            lines.append(f"- **{part}** ({about}): {NOT_MEASURED}; `{CALL} --parts {part}`")
            continue
        pieces = [piece.name for piece in PIECES if piece.part == part]
        done = sum(entries.get(name, {}).get("status") == DONE for name in pieces)
        machine: Any = next(iter(entries.values()))["machine"]
        lines.append(
            f"- **{part}** ({about}): {done} of {len(pieces)} done, {machine['device']}, driver "
            f"{machine.get('driver')}, torch {machine['versions']['torch']}, "
            f"{max(str(entry['date']) for entry in entries.values())[:10]}; "
            f"[results](../{_link(part)})" + _tests(part, entries)
        )
    return "\n".join(lines) + "\n" + _others(measured(folder))


def _tests(part: str, entries: Mapping[str, Result]) -> str:
    if part != "correctness":
        return ""
    result = entries["tests"]["result"]
    counts = sorted(result["counts"].items())
    failed: dict[str, int] = {}
    for name, test in result.get("tests", {}).items():
        if test["outcome"] == "failed":
            function = name.partition("::")[2].partition("[")[0]
            failed[function] = failed.get(function, 0) + 1
    named = "".join(f"\n  - failed: `{name}` ({count})" for name, count in failed.items())
    return ": " + ", ".join(f"{count} {outcome}" for outcome, count in counts) + named


def _others(found: Mapping[str, Result]) -> str:
    """First Block Cache and MagCache, ours beside diffusers' own."""
    rows = []
    for name, title in MODELS.items():
        others = found.get(name, {}).get("result", {}).get("others") or {}
        for method, method_title in OTHERS.items():
            ours, theirs = others.get(method), others.get(f"{method}_of_diffusers")
            if ours is None:
                continue
            there = "does not run" if theirs is None else f"{theirs['speedup_median']:.2f}×"
            rows.append(f"| {title} | {method_title} | {ours['speedup_median']:.2f}× | {there} |")
    if not rows:
        return ""
    return (
        "\nSpeed-up of other methods over the uncached run of the same round; with random weights "
        "each reuses\nwhatever it may, so that only the two columns of a row compare:\n\n"
        "| | | ours | diffusers' own |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )
