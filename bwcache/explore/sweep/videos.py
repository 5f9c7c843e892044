"""A sweep's videos, a folder for each model and setting, named as they are to be found again."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Literal, get_args

from ...cache.method import Method
from ...errors import ConfigError
from ...files import check_folder, write
from ...models import find
from ...runs.events import ComparisonFinished
from ...runs.video import write_mp4
from .plan import Group, Job, Plan

Layout = Literal["named", "vbench"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
UNCACHED = "uncached"
SETTINGS = "settings.json"
LONGEST = 255  # bytes of a file's name
SLUG = 60  # characters


class Videos:
    """Where the videos of a sweep go, written whole or not at all.

    Args:
        folder: Gets `MODEL/uncached/`, `MODEL/SETTING/` for each setting, and of each model
            `MODEL/settings.json`, which says what the folders' settings are. Nothing but videos
            lies in a folder of videos: VBench takes the first file's name for the pattern of all.
        plan: The jobs.
        layout: "vbench" names a video `PROMPT-INDEX.mp4`, the index being the place of its seed
            among the prompt's, as `vbench evaluate` looks for it; "named" `WORDS-DIGEST-SEED.mp4`,
            which any prompt can be.

    Raises:
        ConfigError: The folder cannot be written to, or VBench's layout has no name for a prompt.
    """

    def __init__(self, folder: Path, plan: Plan, layout: Layout = "named"):
        self._folder, self._plan, self._layout = folder, plan, layout
        check_folder(folder)
        names: dict[tuple[str, str], Group] = {}
        for group in plan.groups:
            name = self._file(group)
            if "/" in name or "\0" in name or len(name.encode()) > LONGEST:
                allowed = f"prompts that can be the name of a file of at most {LONGEST} bytes, for"
                raise ConfigError("prompts", group.prompt, f"{allowed} VBench's layout")
            if names.setdefault((group.model, name), group) != group:
                allowed = "prompts and samples that each have a name of their own"
                raise ConfigError("prompts", group.prompt, f"{allowed} in VBench's layout")

    def begin(self) -> None:
        """Say in each model's folder which setting each of its folders is of.

        Raises:
            OSError: It cannot be written.
        """
        for model in dict.fromkeys(group.model for group in self._plan.groups):
            path = self._folder / model / SETTINGS
            path.parent.mkdir(parents=True, exist_ok=True)
            folders = {
                folder_name(config): {"method": config.name, "config": config.as_dict()}
                for config in self._plan.settings[model]
            }
            write({UNCACHED: {"method": None, "config": None}, **folders}, path)

    def complete(self, job: Job) -> bool:
        """Whether both of a job's videos are there."""
        return all(path.exists() for path in self._paths(job))

    def save(self, job: Job, finished: ComparisonFinished) -> None:
        """Write a comparison's videos, the uncached one where it is not there yet."""
        fps = find(self._plan.groups[job.group].model).shape.fps
        staging = self._folder / ".writing"
        for run, path in zip(finished.runs[:2], self._paths(job), strict=True):
            if path.exists() and run.run == "baseline":
                continue
            for folder in (staging, path.parent):
                folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=staging) as own:
                written = Path(own) / "video.mp4"
                write_mp4(run.frames, written, fps)
                os.replace(written, path)

    def close(self) -> None:
        """Remove the folder in which videos are written, if nobody does."""
        with suppress(OSError):
            (self._folder / ".writing").rmdir()

    def _paths(self, job: Job) -> tuple[Path, Path]:
        """Of the uncached and of the cached video."""
        group = self._plan.groups[job.group]
        folder, name = self._folder / group.model, self._file(group)
        return folder / UNCACHED / name, folder / folder_name(self._plan.config(job)) / name

    def _file(self, group: Group) -> str:
        if self._layout == "vbench":
            return f"{group.prompt}-{group.sample}.mp4"
        words = re.sub(r"[^a-z0-9]+", "-", group.prompt.lower())[:SLUG].strip("-")
        return f"{words}-{_digest(f'{group.prompt} {group.steps}')}-{group.seed}.mp4"


def label(config: Method) -> str:
    """A setting in a few words: the method, its first knob, and what differs from its defaults."""
    return f"{config.title} {_changed(config, ' ', ', ')}".strip()


def folder_name(config: Method) -> str:
    """A setting as the name of a folder: the same for every sweep."""
    text = re.sub(r"[^A-Za-z0-9_.=-]+", "-", f"{config.name}-{_changed(config, '=', '-')}")
    return f"{text[:100].strip('-')}-{_digest(str(sorted(config.as_dict().items())))}"


def _changed(config: Method, between: str, apart: str) -> str:
    knobs, parts = config.knobs(), []
    for place, knob in enumerate(knobs):
        value = getattr(config, knob.name)
        if place == 0 or value != knob.default:
            parts.append(f"{knob.name}{between}{_short(value)}")
    return apart.join(parts)


def _short(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"{len(value)} numbers"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=4).hexdigest()
