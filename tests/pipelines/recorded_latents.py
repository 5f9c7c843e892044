"""What the engine gave for every small pipeline at some settings, written down once.

    python -m tests.pipelines.recorded_latents            compare with the file
    python -m tests.pipelines.recorded_latents --write    make the file anew

Make it anew only where the numbers are meant to change. Where it has to be made on another kind of
processor, make it there at the commit that made it last, to learn that nothing else has changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import platform
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import torch

from bwcache import BWCacheConfig, cached
from tests.pipelines.test_rows import ROWS
from tests.pipelines.tiny import Tiny

FILE = Path(__file__).with_suffix(".json")
MORE_STEPS = 4  # than the row's own: rechecks go both ways, forecasts have a trend to follow
SAMPLED = 8  # numbers kept of each run's latents
MARGIN = 0.01  # how far indicators keep from a middle threshold, as a share of it
# Elsewhere rounding moved latents by at most 1.5e-5 of their mean size, indicators by less.
TOLERANCE = 2e-4

PLAIN = "plain"  # without the engine: where this differs, it is not the engine's doing
FIXED: Mapping[str, Mapping[str, object]] = {
    "zero": {"threshold": 0.0},
    "residual": {"threshold": 1e6, "reuse_interval": 2, "reuse": "residual"},
    "output": {"threshold": 1e6, "reuse_interval": 2, "reuse": "output"},
    "forecast": {"threshold": 1e6, "reuse_interval": 2, "reuse": "forecast"},
}
# The threshold of these lies among the row's indicators; each row has its own.
MIDDLE: Mapping[str, Mapping[str, object]] = {
    "once": {"reuse_interval": 1, "tail_fraction": 1.0, "gate": "once"},
    "recheck": {"reuse_interval": 2, "gate": "recheck", "reuse": "forecast"},
    "sampled": {
        "reuse_interval": 0.35,
        "reuse": "output",
        "indicator_blocks": 2,
        "indicator_tokens": 16,
    },
}
SETTINGS = (PLAIN, *FIXED, *MIDDLE)

Numbers = dict[str, object]


def key(row: str, setting: str) -> str:
    """The name of a run in the file."""
    return f"{row} {setting}"


# -- making the numbers -------------------------------------------------------------------------


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums are split among threads, and rounded accordingly."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def fingerprint() -> dict[str, object]:
    """What the bits of a result depend on, besides the code in this repository."""
    packages = ("torch", "diffusers", "transformers", "numpy", "pillow")
    return {
        **{name: version(name) for name in packages},
        # a build of torch, and from Python 3.12 on `sum` of floats, round in their own ways
        "torch": torch.__version__,
        "python": ".".join(platform.python_version_tuple()[:2]),
        "machine": platform.machine(),
        "processor": _processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
    }


def _processor() -> str:
    """Vendor, family and model, by which math libraries choose their loops."""
    listing = Path("/proc/cpuinfo")
    if not listing.exists():
        return platform.processor()
    lines = listing.read_text(encoding="utf-8", errors="replace").splitlines()
    facts = {name.strip(): fact.strip() for name, _, fact in (x.partition(":") for x in lines)}
    return " ".join(facts.get(name, "") for name in ("vendor_id", "cpu family", "model"))


def run_row(tiny: Tiny, threshold: float, settings: Sequence[str] = SETTINGS) -> dict[str, Numbers]:
    """The numbers of one pipeline, by setting.

    Args:
        tiny: The pipeline.
        threshold: Of the settings in `MIDDLE`.
        settings: Which of `SETTINGS`.
    """
    with one_thread():
        return {name: _run(tiny, name, threshold) for name in settings}


def _run(tiny: Tiny, setting: str, threshold: float) -> Numbers:
    if setting == PLAIN:
        return _latents(tiny)
    known = FIXED.get(setting) or {"threshold": threshold, **MIDDLE[setting]}
    with cached(tiny.pipe, BWCacheConfig(**known)) as run:
        latents = _latents(tiny)
    return {**_decided(run.traces), **latents}


def _latents(tiny: Tiny) -> Numbers:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # for whatever a pipeline draws beside its generator
        latents = tiny.run(num_inference_steps=tiny.steps + MORE_STEPS).detach().contiguous()
    numbers = latents.flatten()
    places = [round(i * (len(numbers) - 1) / (SAMPLED - 1)) for i in range(SAMPLED)]
    return {
        "shape": list(latents.shape),
        "dtype": str(latents.dtype).removeprefix("torch."),
        "sha256": hashlib.sha256(numbers.view(torch.uint8).numpy().tobytes()).hexdigest(),
        "l1": numbers.double().abs().sum().item(),
        "values": [_shortest(numbers[place]) for place in places],
    }


def _shortest(number: torch.Tensor) -> float:
    """The shortest decimal fraction that reads back as the same number of its dtype."""
    return float(str(number.numpy())) if number.dtype == torch.float32 else number.item()


def _decided(traces: Sequence) -> Numbers:
    """What was measured and decided, loop by loop; no other line here reads a trace."""
    measured = [
        number for trace in traces for step in trace.steps for number in step.distances or ()
    ]
    indicators = [[_rounded(step.indicator) for step in trace.steps] for trace in traces]
    exact = [step.indicator for trace in traces for step in trace.steps if step.indicator]
    packed = struct.pack(f"<{len(measured) + len(exact)}d", *measured, *exact)
    return {
        "schedule": " ".join("".join(action[0] for action in x.schedule) for x in traces),
        "triggers": [trace.trigger_step for trace in traces],
        "indicators": indicators,
        "indicators_sha256": hashlib.sha256(packed).hexdigest(),
    }


def _rounded(number: float | None) -> float | None:
    return None if number is None else float(f"{number:.7g}")


# -- comparing them -----------------------------------------------------------------------------


def differences(recorded: Numbers, found: Numbers, exact: bool) -> list[str]:
    """In what a run differs from the recorded one; empty where it does not.

    Args:
        recorded: Of the file.
        found: Of today.
        exact: Whether every bit has to be the same; else numbers may differ by rounding.
    """
    names = sorted({*recorded, *found})
    if exact:
        wrong = [name for name in names if recorded.get(name) != found.get(name)]
    else:
        wrong = [name for name in names if not _alike(name, recorded, found)]
    return [f"{name}: {recorded.get(name)} recorded, now {found.get(name)}" for name in wrong]


def _alike(name: str, recorded: Numbers, found: Numbers) -> bool:
    old, new = recorded.get(name), found.get(name)
    if name in ("sha256", "indicators_sha256"):
        return True
    if old is None or new is None:
        return False
    if name == "l1":
        return math.isclose(old, new, rel_tol=TOLERANCE)
    if name == "values":
        apart = TOLERANCE * recorded["l1"] / math.prod(recorded["shape"])
        return len(old) == len(new) and all(
            math.isclose(a, b, rel_tol=0, abs_tol=apart) for a, b in zip(old, new, strict=True)
        )
    if name == "indicators":
        return list(map(len, old)) == list(map(len, new)) and all(
            (a is None) == (b is None) and (a is None or _close(a, b))
            for olds, news in zip(old, new, strict=True)
            for a, b in zip(olds, news, strict=True)
        )
    return old == new


def _close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=TOLERANCE)


def distance_to(threshold: float, run: Numbers) -> float:
    """How near an indicator of a run comes to the threshold, as a share of it."""
    found = [x for loop in run["indicators"] for x in loop if x is not None]
    return min(abs(x / threshold - 1) for x in found)


# -- choosing a middle threshold ----------------------------------------------------------------


def middle_threshold(tiny: Tiny) -> float:
    """A threshold that no indicator comes near to, and at which much happens."""
    zero = run_row(tiny, 0.0, ["zero"])["zero"]
    found = sorted({x for loop in zero["indicators"] for x in loop if x})
    wide = [(a, b) for a, b in pairwise(found) if b / a > (1 + MARGIN) ** 2]
    worth = {t: _worth(tiny, t) for t in (float(f"{math.sqrt(a * b):.3g}") for a, b in wide)}
    best = max(worth, key=worth.get)
    if not worth[best][0]:
        raise ValueError(f"no threshold from {found[0]} to {found[-1]} keeps the margin")
    return best


def _worth(tiny: Tiny, threshold: float) -> tuple[float, ...]:
    """Higher is better, and what comes first counts most."""
    runs = run_row(tiny, threshold, list(MIDDLE))
    once, recheck = runs["once"], runs["recheck"]
    margin = min(distance_to(threshold, run) for run in runs.values())
    return (
        margin >= MARGIN,
        all("r" in run["schedule"] for run in runs.values()),
        ("rcr" in recheck["schedule"]) + ("rcc" in recheck["schedule"]),  # rechecks go both ways
        min(2, recheck["schedule"].count("rr")),
        any((trigger or 0) > 1 for trigger in once["triggers"]),
        margin,
    )


# -- the file -----------------------------------------------------------------------------------


def load() -> dict[str, dict]:
    """What is recorded: the `fingerprint`, the middle `thresholds` by row, and the `runs`."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def dumps(sections: Mapping[str, Mapping[str, object]]) -> str:
    """JSON with a run on each line, so that a difference of two files names the runs."""
    parts = []
    for name, entries in sections.items():
        lines = ",\n".join(
            f" {json.dumps(key)}: {json.dumps(value, allow_nan=False)}"
            for key, value in entries.items()
        )
        parts.append(f"{json.dumps(name)}: {{\n{lines}\n}}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def record() -> dict[str, dict]:
    """All rows, made now."""
    thresholds, runs = {}, {}
    for row, build in ROWS.items():
        tiny = build()
        thresholds[row] = middle_threshold(tiny)
        made = run_row(tiny, thresholds[row])
        runs.update({key(row, setting): numbers for setting, numbers in made.items()})
        print(row, thresholds[row], made["once"]["schedule"], "|", made["recheck"]["schedule"])
    with one_thread():
        return {"fingerprint": fingerprint(), "thresholds": thresholds, "runs": runs}


def compare() -> int:
    """Print what differs from the file; how many runs do."""
    recorded = load()
    with one_thread():
        exact = fingerprint() == recorded["fingerprint"]
    print("every bit has to be the same" if exact else "another machine: close is enough")
    wrong = bits = 0
    for row, build in ROWS.items():
        for setting, found in run_row(build(), recorded["thresholds"][row]).items():
            old = recorded["runs"][key(row, setting)]
            bits += old == found
            if lines := differences(old, found, exact):
                wrong += 1
                print(key(row, setting), *lines, sep="\n  ")
    print(f"{len(recorded['runs'])} runs: {bits} bit-identical, {wrong} wrong")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.pipelines.recorded_latents")
    parser.add_argument("--write", action="store_true", help="make the file anew")
    if not parser.parse_args().write:
        return int(compare() > 0)
    FILE.write_text(dumps(record()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
