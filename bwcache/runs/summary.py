"""What a comparison found: every number of `summary.json`, declared once. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

from ..models.spec import Offload
from .controls import Control

# how far two videos differ: what may be asked for, quickest first
METRICS = ("psnr", "ssim", "vmaf", "lpips")


@dataclass(frozen=True)
class ControlRun:
    """An uncached run of as much work as the cached one.

    Args:
        steps: How many it made.
        seconds: Of its denoising loop.
        psnr_db: Against the uncached run's frames, in dB; None where they are identical.
        kind: Which; see `controls.py`.
    """

    steps: int
    seconds: float
    psnr_db: float | None
    kind: Control = "fewer"


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A comparison in numbers and in a sentence.

    Args:
        model: Catalogue name.
        random_weights: Whether the model had seeded random weights.
        revision: The hub's commit that its weights are of; None where they are from elsewhere.
        prompt, seed, steps: What was asked for.
        method: The caching method's name.
        config: Its settings.
        speedup: How many times as fast the cached run's denoising was: `baseline_seconds` over
            `cached_seconds`; where `busy`, `speedup_robust` instead.
        speedup_measured: `baseline_seconds` over `cached_seconds`, as it is.
        speedup_ceiling: The most that the schedule allows; None where no block ran.
        speedup_robust: From the median computed and the median reused step, at most the ceiling.
        speedup_spread: How far `speedup_measured` is open, as a share of it, by the steps' times.
        busy: Whether the machine was busy: `speedup_measured` is above the ceiling, or the spread
            above 15 %.
        disturbed_steps: Of each run, the steps (from 0) whose time is far off its others'.
        in_turns: Whether the runs were made in turns, step by step, so that what else the machine
            did hit both alike.
        baseline_seconds: Of the uncached run's denoising loop; measuring is left out.
        cached_seconds: Of the cached run's; measuring counts.
        baseline_total_seconds, cached_total_seconds: With text encoding and decoding.
        waited_seconds: From the beginning of the first run to the end of all: text, decoding and
            all.
        baseline_remembered: Whether the uncached run was made earlier.
        steps_computed, steps_reused, steps_partial: Of the cached run; a partial step replays some
            of its blocks.
        compute_share: Of all block evaluations of the cached run, how many ran, 0 to 1; of their
            attentions' and MLPs' operations where the method works inside blocks.
        trigger_step: The first step whose indicator fell below the threshold; None if none did.
        indicator_share: Of the cached run's denoising time, spent measuring: 0 to 1.
        block_share: Of the uncached run's denoising time, spent in blocks.
        indicator_range: Smallest and largest indicator of the uncached run, where it has any.
        reuse_starts_above: The threshold at or below which nothing is reused; None if unknown.
        psnr_db: Of the cached run's frames against the uncached one's; None where identical.
        ssim: Likewise.
        identical: Whether each pixel is the same.
        vmaf: Likewise, 0 to 100; None for the reason in `vmaf_reason`.
        lpips: Likewise; None for the reason in `lpips_reason`.
        frames_psnr_db, frames_ssim: The same, a number a frame.
        psnr_convention: How PSNR was taken.
        difference_gain: How often the difference video is amplified.
        peak_memory_bytes: Of the GPU during the cached run, weights included; None on a CPU, where
            nothing tells one run's memory from the process's, and where the runs were made in
            turns.
        peak_memory_reason: Why it is None.
        device: The hardware, in words.
        offload: How the model was put on the device.
        versions: Of bwcache, Python and what a result depends on.
        control: The control run, if one was asked for: `control_steps`, `control_seconds`,
            `control_psnr_db` and `control_kind` of the file, which lacks them otherwise.
        verdict: The result in a sentence.
        warning: What to mind, or None.
        sound_snr_db: Of the cached run's sound against the uncached one's, in dB; None where there
            is none or they are identical.
        concerns: What the cached run's trace says that one should mind: names and numbers of
            `bwcache.cache.trace.WARNINGS`.
        added: What a command writes after all these, such as its `suggestion`.
    """

    model: str
    random_weights: bool
    revision: str | None
    prompt: str
    seed: int
    steps: int
    method: str
    config: Mapping[str, object]
    speedup: float
    speedup_measured: float
    speedup_ceiling: float | None
    speedup_robust: float
    speedup_spread: float
    busy: bool
    disturbed_steps: Mapping[str, Sequence[int]]
    in_turns: bool = False
    baseline_seconds: float
    cached_seconds: float
    baseline_total_seconds: float
    cached_total_seconds: float
    waited_seconds: float | None = None
    baseline_remembered: bool
    steps_computed: int
    steps_reused: int
    steps_partial: int = 0
    compute_share: float | None = None
    trigger_step: int | None
    indicator_share: float
    block_share: float
    indicator_range: tuple[float, float] | None
    reuse_starts_above: float | None
    psnr_db: float | None
    ssim: float
    identical: bool
    vmaf: float | None
    vmaf_reason: str | None
    lpips: float | None
    lpips_reason: str | None
    frames_psnr_db: Sequence[float | None]
    frames_ssim: Sequence[float]
    psnr_convention: str
    difference_gain: int
    peak_memory_bytes: int | None
    peak_memory_reason: str | None = None
    device: str
    offload: Offload
    versions: Mapping[str, str]
    control: ControlRun | None = None
    verdict: str = ""
    warning: str | None = None
    sound_snr_db: float | None = None
    concerns: Sequence[tuple[str, Mapping[str, int]]] = ()
    added: Mapping[str, object] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        """The content of `summary.json`, in its order."""
        content: dict[str, object] = {}
        for name in (each.name for each in fields(self)):
            if name == "control":
                if self.control is not None:
                    content["control_steps"] = self.control.steps
                    content["control_seconds"] = self.control.seconds
                    content["control_psnr_db"] = self.control.psnr_db
                    content["control_kind"] = self.control.kind
            elif name == "added":
                content |= self.added
            else:
                content[name] = getattr(self, name)
        return content

    def adding(self, **more: object) -> Summary:
        """The same, with more at the end of the file."""
        return replace(self, added={**self.added, **more})
