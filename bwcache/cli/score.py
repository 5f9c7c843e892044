"""`bwcache score`: how far two videos differ, or all of the same name in two folders."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..runs.summary import METRICS
from .arguments import add_json_argument, add_metrics_argument
from .output import print_json, print_lines

HELP = "how far videos differ: two files, or two folders by their files' names"
SOME_FAILED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("video", type=Path, help="a video file, or a folder of them")
    parser.add_argument("reference", type=Path, help="what it is compared with, such as uncached")
    add_metrics_argument(parser, METRICS)
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Score; a line a pair and the mean, or JSON, on stdout. 1 where a pair could not be."""
    from ..runs.score import conventions, means, pairs, score, scores

    found, alone = pairs(args.video, args.reference)
    if not args.video.is_dir():  # what is wrong with the one pair is what is wrong with the call
        rows = [{"name": found[0][0], **score(*found[0][1:], args.metrics)}]
    else:
        bar = tqdm(scores(found, args.metrics), total=len(found), unit="pair", file=sys.stderr)
        rows = list(bar)
    mean, failed = means(rows, args.metrics), sum("error" in row for row in rows)
    if args.json:
        about = {"metrics": list(args.metrics), "conventions": conventions(args.metrics)}
        print_json({"pairs": rows, "mean": mean, "failed": failed, "unpaired": alone, **about})
    else:
        for row in rows:
            print_lines(f"{_words(row)}  {row['name']}")
        if len(rows) > 1:
            print(f"{_words({**mean, 'identical': False})}  mean of {len(rows) - failed} pairs")
        for name in alone:
            print_lines(f"only in one of the folders: {name}")
    return SOME_FAILED if failed else 0


def _words(row: Mapping[str, Any]) -> str:
    if "error" in row:
        return f"not scored ({row['error']})"
    said = []
    for name, form in (
        ("psnr_db", "PSNR {:.2f} dB"),
        ("ssim", "SSIM {:.4f}"),
        ("vmaf", "VMAF {:.2f}"),
        ("lpips", "LPIPS {:.4f}"),
    ):
        if row.get(name) is not None:
            said.append(form.format(row[name]))
        elif name == "psnr_db" and name in row:
            said.append("identical" if row["identical"] else "PSNR none")
        elif name in row:
            said.append(f"{name.upper()} none ({row.get(f'{name}_reason') or 'no pair has it'})")
    return ", ".join(said)
