"""A ruler for "different": where a cached video lies between things that everybody knows.

Decibels mean nothing to most people. The marks are how far the uncached video is from others that
no cache has touched: the same prompt with another seed, half the steps, twice the steps. The last
says how far the uncached video itself is from the exact solution: what is closer than that cannot
be told from the limits of the model. Measured by `bwcache.explore.ruler`; standard library only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from .verdict import Say, english

MarkName = Literal["other_seed", "half_steps", "twice_steps", "identical"]
MARKS: tuple[MarkName, ...] = get_args(MarkName)  # from far to near
Place = Literal["identical", "beyond_exact", "within_half", "within_seed", "another_video"]
MEASURED = Path(__file__).parent / "measured"  # a file a model


@dataclass(frozen=True)
class Mark:
    """One known thing, and how far the uncached video is from it.

    Args:
        name: Which.
        psnr_db: Over the whole video, in dB; None where identical.
        ssim: Mean over frames.
        vmaf: 0 to 100; None where it could not be measured.
    """

    name: MarkName
    psnr_db: float | None
    ssim: float
    vmaf: float | None = None


@dataclass(frozen=True)
class Ruler:
    """The marks of a model, or of one run.

    Args:
        model: Catalogue name.
        steps: Of the uncached video.
        prompts: How many the marks are medians of.
        marks: From far to near.
    """

    model: str
    steps: int
    prompts: int
    marks: tuple[Mark, ...]

    def place(self, psnr_db: float | None) -> Place:
        """Between which marks a video lies, by its PSNR in dB; None stands for identical ones."""
        if psnr_db is None:
            return "identical"
        marks = {mark.name: mark.psnr_db for mark in self.marks}
        within: tuple[tuple[MarkName, Place], ...] = (
            ("twice_steps", "beyond_exact"),
            ("half_steps", "within_half"),
            ("other_seed", "within_seed"),
        )
        for name, place in within:
            at = marks.get(name)
            if at is not None and psnr_db >= at:
                return place
        return "another_video"

    def words(self, psnr_db: float | None, say: Say = english) -> str:
        """The same as a sentence."""
        return say(f"ruler_{self.place(psnr_db)}")

    def as_dict(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Ruler:
        marks = tuple(Mark(**mark) for mark in data["marks"])
        return cls(data["model"], data["steps"], data["prompts"], marks)


@dataclass(frozen=True)
class Answer:
    """What a preset gives: a measured answer to "how different may the video look?".

    Args:
        name: The preset's.
        config: The settings that were measured.
        compute_share: Of all block evaluations, how many ran: 0 to 1.
        psnr_db, ssim, vmaf: Against the uncached video. All are medians over the prompts.
        picture: A WebP of one frame, as base64.
        schedule: Of the prompt that the picture shows, a letter a step, see `Trace.letters`; ""
            where an earlier version did not store it.
    """

    name: str
    config: Mapping[str, Any]
    compute_share: float
    psnr_db: float | None
    ssim: float
    vmaf: float | None
    picture: str
    schedule: str = ""

    @property
    def speedup(self) -> float:
        """What the work that is done allows; a clock shows up to so much."""
        return 1 / self.compute_share


@dataclass(frozen=True)
class MeasuredMethod:
    """What `bench ruler` has stored of a method's presets on a model.

    Args:
        answers: Its presets, gentlest first.
        prompts: How many the numbers are medians of.
        prompt: What the pictures show.
        picture: The uncached frame, a WebP as base64, beside which the answers' stand.
        noise: The share of noise at each step, see `RunFacts.noise`; None where it is not known.
        device: What it was measured on, in words.
    """

    answers: Sequence[Answer]
    prompts: int
    prompt: str
    picture: str
    noise: Sequence[float] | None
    device: str


@dataclass(frozen=True)
class MeasuredModel:
    """What `bench ruler` has stored of a model.

    Args:
        ruler: Its marks.
        methods: The presets of its methods, by the method's name.
        device: What the marks were measured on, in words.
    """

    ruler: Ruler
    methods: Mapping[str, MeasuredMethod]
    device: str


@cache
def measured(model: str) -> MeasuredModel | None:
    """What is stored of a model; None where nobody has measured it."""
    path = MEASURED / f"{model}.json"
    if not path.is_file():
        return None
    data = json.loads(path.read_text(encoding="utf-8"))
    methods = {name: _method(found) for name, found in data["methods"].items()}
    return MeasuredModel(Ruler.from_dict(data["ruler"]), methods, data["device"])


def _method(data: Mapping[str, Any]) -> MeasuredMethod:
    answers = tuple(Answer(**answer) for answer in data["answers"])
    named = (data["prompts"], data["prompt"], data["picture"])
    return MeasuredMethod(answers, *named, data.get("noise"), data["device"])


def ruler_of(model: str, random_weights: bool = False) -> Ruler | None:
    """A model's stored ruler; none for random weights, whose videos are noise."""
    found = None if random_weights else measured(model)
    return None if found is None else found.ruler
