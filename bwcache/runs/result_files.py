"""A comparison's files: videos, the trace and the summary, all of them or none."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from ..files import finite, move_all, write_text
from ..models import find
from .events import ComparisonFinished
from .metrics import pixel_distance
from .share_video import write_share_video
from .video import heat, padding, write_mp4

CONTROL = "control.mp4"  # of an older comparison, it must not stay beside a new one
NAMES = (
    "baseline.mp4",
    "cached.mp4",
    CONTROL,
    "difference.mp4",
    "share.mp4",
    "summary.json",
    "trace.json",
)


def save(finished: ComparisonFinished, folder: Path) -> dict[str, Path]:
    """Write `baseline.mp4`, `cached.mp4`, `difference.mp4`, `share.mp4`, `trace.json` and
    `summary.json`.

    `share.mp4` shows both videos side by side, with the verdict burnt in. With a control run also
    `control.mp4`. The difference is that of the raw frames, amplified by the summary's
    `difference_gain`, in Inferno's colours. Where a video has an odd width or height, the summary
    says in `video_padding` how many columns and lines its files have more.

    Args:
        finished: What to write.
        folder: Made where it is missing. Files of the same names are replaced.

    Returns:
        Each file's path by its stem.

    Raises:
        OSError, MachineError: The folder cannot be written to, the disk is full, or a video was not
            encoded whole. All files are as they were then.
    """
    fps = find(finished.summary.model).shape.fps
    folder.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder))
    try:
        for run in finished.runs:
            write_mp4(run.frames, staging / f"{run.run}.mp4", fps)
        baseline, cached = finished.runs[:2]
        distances = pixel_distance(cached.frames, baseline.frames)
        amplified = heat(finished.summary.difference_gain * distances)
        write_mp4(amplified, staging / "difference.mp4", fps)
        summary = finished.summary
        share = staging / "share.mp4"
        write_share_video(baseline.frames, cached.frames, summary.as_dict(), share, fps)
        if any(padded := padding(baseline.frames)):
            summary = summary.adding(video_padding=list(padded))
        text = json.dumps(finite(summary.as_dict()), indent=1, allow_nan=False)
        write_text(staging / "summary.json", text)
        write_text(staging / "trace.json", finished.trace_file.dumps())
        moved = move_all(staging, folder, [CONTROL])
        return {path.stem: path for path in moved}
    finally:
        shutil.rmtree(staging, ignore_errors=True)
