"""Trains the codec's painter, resumable and seeded.

The painter learns to give back clean frames from latents that carry a little noise, so that it
also cleans the small errors a diffusion model makes. It needs the codec of a training run, for
the painter must read the very latents which that run's transformer writes.
Knows the codec and the world's clips; knows nothing of captions, text or diffusion.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..tinyworld import codec as codecs
from ..tinyworld.scenes import BACKGROUNDS, COLOURS, held_out_scenes, random_scene
from .clips import NOISE, video_of
from .loop import Stateful, Trainer

WIDTH = 48
EMA_DECAY = 0.995
WARMUP_STEPS = 50
FLAT_SHARE = 0.5


@lru_cache(maxsize=1)
def _fitted(seed: int) -> codecs.PatchCodec:
    """The codec a training run with that seed begins with; its scale is not in checkpoints."""
    from .clips import sample_batch

    video = sample_batch(np.random.default_rng(seed), 256)[0]
    return codecs.fit(codecs.to_patches(video).flatten(0, 3))[0]


def codec_of_run(checkpoint: Path, seed: int = 0, width: int = 0) -> codecs.PatchCodec:
    """The codec that a training run's latents are in, with a new painter of that width.

    Args:
        checkpoint: The run's `checkpoint.pt`.
        seed: The run's seed: it fixes the clips which the latents' scale was measured on.
        width: Of the painter; 0 for none.

    Raises:
        ValueError: The checkpoint is not of a run with that seed.
    """
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["codec"]
    fitted = _fitted(seed)
    # eigenvectors come with either sign, so compare what they span
    overlap = (fitted.basis * state["basis"]).sum(0).abs()
    if float(overlap.min()) < 0.99:
        raise ValueError(f"{checkpoint}: its codec was not fitted with seed {seed}")
    codec = codecs.PatchCodec.from_config(fitted.config, painter_width=width)
    codec.load_state_dict(state, strict=False)
    if codec.painter is not None:
        palette = torch.tensor([*BACKGROUNDS.values(), *COLOURS.values()]) / 127.5 - 1
        codec.painter.palette.data.copy_(palette)
    return codec


def learning_rate(step: int, total: int) -> float:
    """Factor on the peak rate: linear warm-up, flat, cosine to zero."""
    if step < WARMUP_STEPS:
        return (step + 1) / WARMUP_STEPS
    flat = FLAT_SHARE * total
    done = min(1.0, max(0.0, (step - flat) / (total - flat)))
    return 0.5 + 0.5 * math.cos(math.pi * done)


@torch.no_grad()
def psnr(codec: codecs.PatchCodec, noise: float, clips: int = 24) -> float:
    """Decibels of decoded held-out clips, mean over clips, with that much noise on the latents."""
    rng, generator = np.random.default_rng(1), torch.Generator().manual_seed(1)
    decibels = []
    std = torch.tensor(codec.config.latents_std).view(1, -1, 1, 1, 1)
    for scene in held_out_scenes(clips):
        video = video_of([scene], rng)
        latents = codec.encode_normalised(video)
        latents = latents + noise * torch.randn(latents.shape, generator=generator)
        error = functional.mse_loss(codec.decode(latents * std).sample, video) / 4
        decibels.append(-10 * math.log10(max(float(error), 1e-10)))
    return sum(decibels) / len(decibels)


class PainterTrainer(Trainer):
    """The painter's training, on the codec of a training run."""

    def __init__(self, args: argparse.Namespace):
        super().__init__(args, "decoder.pt")
        torch.manual_seed(args.seed)
        self.codec = codec_of_run(args.run, args.run_seed, WIDTH)
        self.painter = self.codec.painter
        self.ema = AveragedModel(self.painter, multi_avg_fn=get_ema_multi_avg_fn(EMA_DECAY))
        trained = [p for p in self.painter.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, args.rate, betas=(0.9, 0.99))

    def train_step(self) -> float:
        """One update on fresh clips; every step's randomness follows from (seed, step)."""
        rng = np.random.default_rng((self.args.seed, 1 + self.step))
        generator = torch.Generator().manual_seed(self.args.seed + 7919 * (1 + self.step))
        video = video_of([random_scene(rng) for _ in range(self.args.batch)], rng)
        latents = self.codec.encode_normalised(video)
        level = NOISE * torch.rand(len(latents), 1, 1, 1, 1, generator=generator) ** 2
        latents = latents + level * torch.randn(latents.shape, generator=generator)
        painted = self.codec.paint(latents)[:, :, codecs.TEMPORAL - 1 :]
        loss = functional.l1_loss(painted, video)  # squared error would blur outlines
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.painter.parameters(), 1.0)
        factor = learning_rate(self.step, self.args.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = self.args.rate * factor
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.ema.update_parameters(self.painter)
        return float(loss.detach())

    def stateful(self) -> dict[str, Stateful]:
        return {"painter": self.painter, "ema": self.ema, "optimizer": self.optimizer}


def load_painter(codec: codecs.PatchCodec, folder: Path) -> dict:
    """Put a training's averaged painter into a codec; returns the training's step and seconds."""
    state = torch.load(folder / "decoder.pt", map_location="cpu", weights_only=True)
    prefix = "module."
    averaged = {k.removeprefix(prefix): v for k, v in state["ema"].items() if k.startswith(prefix)}
    codec.painter.load_state_dict(averaged)
    return {name: state[name] for name in ("step", "seconds", "losses")}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("runs/tinyworld/checkpoint.pt"))
    parser.add_argument("--run-seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/decoder"))
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args(arguments, namespace=argparse.Namespace(device="cpu"))
    torch.set_num_threads(args.threads)
    trainer = PainterTrainer(args)
    trainer.load()
    trainer.run()
    load_painter(trainer.codec, args.out)
    for noise in (0.0, 0.05, 0.15):
        print(f"noise {noise:.2f}: {psnr(trainer.codec, noise):.1f} dB")
