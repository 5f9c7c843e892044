"""Recorded runs → the index that the panel's gallery is made of. Knows no component."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..cache.methods import METHODS
from ..cache.methods.bwcache import BWCacheConfig
from ..errors import ConfigError, RecordedError, first_line
from ..models import earlier_weights
from ..runs.panel_rows import words
from ..runs.recorded import RUN_FILE, RecordedRun, listing
from ..runs.rounding import rounded
from .handlers import FILE_ROUTE
from .languages import LANGUAGES, say_verdict

log = logging.getLogger(__name__)
Entry = dict[str, object]


def index(runs: Path | None) -> list[Entry]:
    """A small entry for each recorded run; of a broken one, its slug and what is wrong.

    Args:
        runs: The folder of the runs' folders, served under Gradio's file route; None for none.
    """
    if runs is None:
        return []
    root = runs.resolve()
    return [_entry(slug, run, root / slug) for slug, run in listing(root)]


def _entry(slug: str, run: RecordedRun | RecordedError, folder: Path) -> Entry:
    """A run's card; of one that cannot be drawn, why, and no other is any worse for it."""
    if not isinstance(run, RecordedError):
        try:
            entry = _card(slug, run, folder)
            json.dumps(entry, allow_nan=False).encode()
            return entry
        except Exception as error:
            run = RecordedError(RUN_FILE, first_line(error), "a run whose card can be drawn")
    log.warning("the recorded run %s is left out: %s", slug, run)
    return {"slug": slug, "title": slug, "error": str(run)}


def _card(slug: str, run: RecordedRun, folder: Path) -> Entry:
    summary, url = run.summary, f"{FILE_ROUTE}{quote(folder.as_posix())}/"
    device = str(summary["device"])
    older = earlier_weights(run.trace.model, run.trace.weights)
    return {
        "slug": slug,
        "title": run.title,
        "caption": f"{run.caption} It was {older}." if older else run.caption,
        "prompt": summary["prompt"],
        "recorded": run.recorded,
        "hardware": device.partition(": ")[2] or device,
        "folder": url,
        "thumbnail": url + run.files["thumbnail"],
        "method": _title(summary),
        "threshold": _threshold(summary),
        "speedup": rounded(_speedup(summary)),
        "psnr_db": rounded(summary["psnr_db"]),
        "words": _words(summary),
    }


def _title(summary: Mapping[str, Any]) -> str:
    """The method's, for people; the name of one that is not known here."""
    name = str(summary.get("method", BWCacheConfig.name))
    return METHODS[name].title if name in METHODS else name


def _threshold(summary: Mapping[str, Any]) -> float | None:
    """δ; None of a method that has none."""
    if summary.get("method", BWCacheConfig.name) != BWCacheConfig.name:
        return None
    return rounded(float(summary["config"]["threshold"]))


def _speedup(summary: Mapping[str, Any]) -> float:
    """Where nothing was reused there is no gain, whatever the clock says."""
    reused = summary["steps_reused"] or summary.get("steps_partial")
    return float(summary["speedup"]) if reused else min(1.0, float(summary["speedup"]))


def _words(summary: Mapping[str, object]) -> dict[str, Entry]:
    """Verdict and warning in each language; none where the run's model is not known here."""
    try:
        return {language: words(summary, say_verdict(language)) for language in LANGUAGES}
    except (ConfigError, KeyError, TypeError, ValueError, ArithmeticError, AttributeError):
        return {}
