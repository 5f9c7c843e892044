"""The ruler of a run, on the command line: measured with a bar a run, said in words first."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tqdm import tqdm

from ..models.progress import Loading
from .progress import LoadingBar

if TYPE_CHECKING:
    from ..runs.events import ComparisonFinished
    from ..runs.request import Request
    from ..runs.ruler import Ruler
    from ..runs.summary import Summary

NAMES = {
    "other_seed": "the same prompt with another seed",
    "half_steps": "half the steps, uncached",
    "twice_steps": "twice the steps, uncached",
    "identical": "the same video",
}
THIS = "this cached video"


def measure_ruler(finished: ComparisonFinished, request: Request, device: str | None) -> Ruler:
    """Measure the marks beside a comparison's uncached run, in the same mode on the device."""
    from ..explore.ruler import measure
    from ..models.loading import result_of
    from ..runs.events import RunStarted, StepDone

    loading = LoadingBar()
    bars: list[tqdm] = []

    def show(event: object) -> None:
        if isinstance(event, Loading):
            loading.show(event)
        elif isinstance(event, RunStarted):
            name = f"ruler {len(bars) + 1} of 3"
            bars.append(tqdm(total=event.num_steps, desc=name, unit="step", file=sys.stderr))
        elif isinstance(event, StepDone):
            bars[-1].update()

    try:
        return result_of(measure(request, finished.runs[0], device, finished.summary.offload), show)
    finally:
        for bar in bars:
            bar.close()


def as_json(ruler: Ruler, summary: Summary) -> dict[str, object]:
    """What `summary.json` says of a measured ruler."""
    psnr = summary.psnr_db
    return {"place": ruler.place(psnr), "words": ruler.words(psnr), **ruler.as_dict()}


def lines(ruler: Ruler, summary: Summary) -> Iterator[str]:
    """The words, then the numbers from far to near, the cached video among them."""
    yield f"How different: {ruler.words(summary.psnr_db)}"
    rows = [(NAMES[mark.name], mark.psnr_db, mark.vmaf) for mark in ruler.marks]
    rows.append((THIS, summary.psnr_db, summary.vmaf))
    rows.sort(key=lambda row: float("inf") if row[1] is None else row[1])
    for name, psnr, vmaf in rows:
        decibels = "identical" if psnr is None else f"{psnr:.1f} dB"
        score = "" if vmaf is None else f"  VMAF {vmaf:.1f}"
        yield f"{'>' if name == THIS else ' '} {name:34} {decibels:>9}{score}"
