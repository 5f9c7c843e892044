"""What a sweep's rows say, setting by setting: medians with their quartiles, read row by row."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from ...runs.summary import METRICS
from .ledger import Ledger
from .plan import Job
from .videos import label

# what is gathered of each row: the summary's name of it, and how it is shown
COLUMNS = {
    "speedup": ("speed-up", "{:.2f}×"),
    "compute_share": ("computed", "{:.0%}"),
    "psnr_db": ("PSNR", "{:.1f} dB"),
    "ssim": ("SSIM", "{:.4f}"),
    "vmaf": ("VMAF", "{:.1f}"),
    "lpips": ("LPIPS", "{:.4f}"),
}
ALWAYS = ("speedup", "compute_share")
OF_METRIC = dict(zip(METRICS, ("psnr_db", "ssim", "vmaf", "lpips"), strict=True))
NONE = "–"


@dataclass
class Gathered:
    """The rows of one setting on one model.

    Args:
        model: Catalogue name.
        method, title: The method's name, and for people.
        label: The setting in a few words.
        values: By name, eight bytes a row; a number that a row lacks is left out.
        identical: How many videos are the uncached one, whose PSNR is infinite and left out.
        busy: How many were made while the machine was disturbed.
        reasons: Why a number is missing, and how often.
        videos: Rows.
        failed: Jobs that were given up.
    """

    model: str
    method: str
    title: str
    label: str
    values: dict[str, array] = field(default_factory=lambda: {name: array("d") for name in COLUMNS})
    identical: int = 0
    busy: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    videos: int = 0
    failed: int = 0

    def add(self, row: Mapping[str, Any]) -> None:
        self.videos += 1
        self.identical += bool(row.get("identical"))
        self.busy += bool(row.get("busy"))
        for name, values in self.values.items():
            if row.get(name) is not None:
                values.append(row[name])
            elif row.get(f"{name}_reason"):
                self.reasons[f"{COLUMNS[name][0]}: {row[f'{name}_reason']}"] += 1

    def quartiles(self, name: str) -> tuple[float, float, float] | None:
        """Lower quartile, median and upper quartile; None where no row has the number."""
        values = self.values[name]
        if not values:
            return None
        low, middle, high = np.percentile(np.frombuffer(values), (25, 50, 75))
        return float(low), float(middle), float(high)

    def shown(self, name: str) -> str:
        """The median, and in brackets the quartiles where they differ from it as shown."""
        found = self.quartiles(name)
        if found is None:
            return "identical" if name == "psnr_db" and self.identical else NONE
        low, middle, high = (COLUMNS[name][1].format(value) for value in found)
        unit = middle.lstrip("0123456789.-").strip()
        bare = [text.removesuffix(unit).strip() for text in (low, high)]
        text = middle if low == high else f"{middle} ({bare[0]}–{bare[1]})"
        if name == "psnr_db" and self.identical:
            text += f", {self.identical} identical"
        return text


@dataclass
class Tally:
    """All that is said of a sweep.

    Args:
        settings: In the plan's order.
        failures: Of each job given up: model, prompt, seed, setting, tries and error.
        metrics: Those asked for.
        devices, versions: What the rows were measured on, and with: how many rows each.
        retried: Jobs that went wrong first and well then.
        jobs, uncached: How many jobs, and how many uncached runs they share.
        made: When this was written, UTC.
    """

    settings: list[Gathered]
    metrics: Sequence[str]
    jobs: int
    uncached: int
    retried: int = 0
    failures: list[dict[str, Any]] = field(default_factory=list)
    devices: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    made: str = ""

    @property
    def videos(self) -> int:
        """How many jobs have a row."""
        return sum(each.videos for each in self.settings)

    @property
    def columns(self) -> list[str]:
        """The numbers to show."""
        return [*ALWAYS, *(OF_METRIC[name] for name in METRICS if name in self.metrics)]

    @property
    def sentence(self) -> str:
        """How much was done, and measured on what."""
        on = "; ".join(f"{name} ({count} videos)" for name, count in self.devices.most_common())
        runs = "uncached run" if self.uncached == 1 else "uncached runs"
        said = f"{self.videos} of {self.jobs} jobs done, {self.uncached} {runs} shared"
        if self.failures:
            said += f", {len(self.failures)} failed"
        if self.retried:
            said += f", {self.retried} went well when tried again"
        return f"{said}. Measured on {on or 'nothing yet'}."

    def notes(self) -> list[str]:
        """What to mind of the numbers."""
        said = [
            "Medians over videos, in brackets the quartiles. Closeness is to the uncached video of "
            "the same prompt and seed: it says how far a video moved, not which one is better."
        ]
        if any(each.videos == each.identical > 0 for each in self.settings):
            said.append("Settings whose videos are all identical have no point in the chart.")
        if busy := sum(each.busy for each in self.settings):
            said.append(f"{busy} videos were made while the machine was disturbed.")
        reasons: Counter[str] = sum((each.reasons for each in self.settings), Counter())
        shown = {COLUMNS[name][0] for name in self.columns}
        said += [
            f"{reason} ({count} videos)."
            for reason, count in reasons.most_common()
            if reason.partition(":")[0] in shown
        ]
        return said

    def table(self) -> list[list[str]]:
        """The table's cells; its first line is the names of the columns."""
        models = len({each.model for each in self.settings}) > 1
        names = [COLUMNS[name][0] for name in self.columns]
        lines = [[*(["model"] if models else []), "setting", "videos", *names, "failed"]]
        for each in self.settings:
            numbers = [each.shown(name) for name in self.columns]
            front = [each.model] if models else []
            lines.append([*front, each.label, str(each.videos), *numbers, str(each.failed)])
        return lines

    def markdown(self) -> str:
        """The table, what was done and what failed, as Markdown that reads well as it is."""
        cells = [[_cell(text) for text in line] for line in self.table()]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |"
            for line in cells
        ]
        lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        failures = [
            f"- failed (tries: {one['tries']}): {one['setting']}, {one['model']}, seed "
            f"{one['seed']}, “{one['prompt']}”: {one['error']}"
            for one in self.failures
        ]
        parts = [self.sentence, "\n".join(lines), " ".join(self.notes()), "\n".join(failures)]
        return "\n\n".join(part for part in parts if part) + "\n"


def tally(ledger: Ledger, rows: Iterable[Mapping[str, Any]], metrics: Sequence[str]) -> Tally:
    """Gather the rows of a sweep's jobs; rows of other jobs are passed over.

    Args:
        ledger: Says which jobs there are, and which were given up.
        rows: Of the results file, one at a time.
        metrics: To show, of `METRICS`.
    """
    plan = ledger.plan
    by_setting = {
        (model, place): Gathered(model, config.name, config.title, label(config))
        for model, configs in plan.settings.items()
        for place, config in enumerate(configs)
    }

    def of(job: Job) -> Gathered:
        return by_setting[plan.groups[job.group].model, job.setting]

    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    settings = list(by_setting.values())
    found = Tally(settings, metrics, plan.size, len(plan.groups), ledger.retried, made=now)
    for row in rows:
        if (job := plan.find(row)) is None:
            continue
        of(job).add(row)
        found.devices[str(row.get("device"))] += 1
        versions = row.get("versions") or {}
        found.versions[", ".join(f"{name} {text}" for name, text in versions.items())] += 1
    for failure in ledger.failures():
        of(failure.job).failed += 1
        group = plan.groups[failure.job.group]
        about = {"model": group.model, "prompt": group.prompt, "seed": group.seed}
        said = {"setting": of(failure.job).label, "tries": failure.tries, "error": failure.error}
        found.failures.append(about | said)
    return found


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
