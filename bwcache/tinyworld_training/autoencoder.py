"""Training of TinyWorld's autoencoder, resumable and seeded.

The encoder begins as principal components; a network beside it and the decoder learn together to
give back clips from latents that carry noise, so what a latent says is said robustly. `--decoder`
trains the decoder alone, on whole clips: latents, and every transformer trained on them, stay
valid. `--transformer FOLDER` then gives the decoder latents with that model's own errors: noised,
and denoised in one step.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import WanTransformer3DModel
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import UMT5EncoderModel

from ..tinyworld.autoencoder import SPATIAL, TEMPORAL, SmoothCodec, principal_components
from ..tinyworld.text import build_tokenizer, encode
from .clips import caption, held_out_scene, random_scene, video_of
from .loop import Stateful, Trainer

NOISE = 0.3  # strongest, in normalised latents
MODEL_NOISE = 0.6  # strongest that a transformer is asked to remove in one step
EMA_DECAY = 0.99
WARMUP_STEPS = 50
FLAT_SHARE = 0.5
FITTED_CLIPS = 48


def learning_rate(step: int, progress: float) -> float:
    """Factor on the peak rate: linear warm-up, flat, linear to a fiftieth."""
    fall = min(1.0, max(0.02, (1 - progress) / (1 - FLAT_SHARE)))
    return fall * min(1.0, (step + 1) / WARMUP_STEPS)


def fitted_codec(z_dim: int, encoder_width: int, decoder_width: int, seed: int) -> SmoothCodec:
    """An autoencoder that encodes by principal components and cannot decode yet.

    Each component is scaled by the root of its standard deviation, halfway between raw and
    whitened: coarse parts stay stronger than fine ones, as in a picture. All have unit mean square.
    """
    rng = np.random.default_rng(seed)
    video = video_of([random_scene(rng) for _ in range(FITTED_CLIPS)], rng)
    mean, basis, std = principal_components(video, z_dim)
    spread = std.sqrt() / std.mean().sqrt()
    codec = SmoothCodec(
        z_dim=z_dim,
        latents_mean=(0.0,) * z_dim,
        latents_std=tuple((std / spread).tolist()),
        encoder_width=encoder_width,
        decoder_width=decoder_width,
    )
    codec.mean.data.copy_(mean)
    codec.basis.data.copy_(basis)
    return codec


@torch.no_grad()
def psnr(codec: SmoothCodec, noise: float, clips: int = 24) -> float:
    """Decibels of decoded held-out clips, mean over clips, with that much noise on the latents."""
    rng, generator = np.random.default_rng(1), torch.Generator().manual_seed(1)
    decibels = []
    for i in range(clips):
        video = video_of([held_out_scene(rng, 1 + i % 2)], rng)
        latents = codec.normalise(codec.encode(video))
        latents = latents + noise * torch.randn(latents.shape, generator=generator)
        decoded = codec.decoder(latents)[:, :, TEMPORAL - 1 :].clamp(-1, 1)
        error = float(functional.mse_loss(decoded, video)) / 4
        decibels.append(-10 * math.log10(max(error, 1e-10)))
    return sum(decibels) / len(decibels)


class CodecTrainer(Trainer):
    """The autoencoder's training; `args` as `main` reads them."""

    def __init__(self, args: argparse.Namespace):
        super().__init__(args, "autoencoder.pt")
        torch.manual_seed(args.seed)
        if args.init:
            self.codec = SmoothCodec.from_pretrained(args.init)
        else:
            self.codec = fitted_codec(
                args.z_dim, 0 if args.decoder else args.encoder_width, args.decoder_width, args.seed
            )
        self.codec.to(args.device)
        self.learned = self.codec.decoder if args.decoder else self.codec
        config = self.codec.config
        # what each latent's mean and spread are, followed while the encoder moves
        self.statistics = torch.nn.ParameterDict(
            {
                "mean": torch.tensor(config.latents_mean).view(1, -1, 1, 1, 1),
                "std": torch.tensor(config.latents_std).view(1, -1, 1, 1, 1),
            }
        ).requires_grad_(False)
        self.statistics.to(args.device)
        self.spread = self._spread().to(args.device) if not args.decoder else None
        trained = [p for p in self.learned.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, args.rate, betas=(0.9, 0.99))
        self.ema = AveragedModel(self.codec, multi_avg_fn=get_ema_multi_avg_fn(EMA_DECAY))
        self.started = time.monotonic()
        self.transformer = None
        if args.transformer:
            self.tokenizer = build_tokenizer()
            folder = args.transformer
            self.text_encoder = UMT5EncoderModel.from_pretrained(folder / "text_encoder").eval()
            self.transformer = WanTransformer3DModel.from_pretrained(folder / "transformer").eval()
            self.text_encoder.to(args.device)
            self.transformer.to(args.device)

    @torch.no_grad()
    def _spread(self) -> torch.Tensor:
        """The spread that every normalised latent shall keep, `[1, z, 1, 1, 1]`."""
        rng = np.random.default_rng(self.args.seed)
        video = video_of([random_scene(rng) for _ in range(FITTED_CLIPS // 2)], rng)
        latents = torch.cat([self.codec.encode(v[None].to(self.args.device)) for v in video])
        return (latents.std((0, 2, 3, 4), keepdim=True) / self.statistics["std"]).cpu()

    def _clips(self, rng: np.random.Generator) -> tuple[torch.Tensor, list[str]]:
        """Clips, cut to `--crop` cells a side, and their captions."""
        scenes = [random_scene(rng) for _ in range(self.args.batch)]
        video = video_of(scenes, rng)
        side = self.args.crop * SPATIAL
        top, left = (SPATIAL * int(rng.integers(0, 1 + (size - side) // SPATIAL))
                     for size in video.shape[-2:])  # fmt: skip
        video = video[..., top : top + side, left : left + side]
        return video.to(self.args.device), [caption(scene, rng) for scene in scenes]

    def _precision(self) -> torch.autocast:
        on = self.args.device.startswith("cuda") or self.args.bfloat16
        return torch.autocast(torch.device(self.args.device).type, torch.bfloat16, enabled=on)

    def _normalised(self, video: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Normalised latents, and how far the encoder has left its mean and spread."""
        if self.args.decoder:
            with torch.no_grad():
                return self.codec.normalise(self.codec.encode(video).float()), torch.zeros(())
        raw = self.codec.encode(video).float()
        mean = raw.mean((0, 2, 3, 4), keepdim=True)
        std = raw.std((0, 2, 3, 4), keepdim=True) / self.spread
        first = self.ema.module.config.latents_std
        drift = (std / std.new_tensor(first).view_as(std)).log().square().mean()
        self.statistics["mean"].data.lerp_(mean.detach(), 0.02)
        self.statistics["std"].data.lerp_(std.detach(), 0.02)
        return (raw - self.statistics["mean"]) / self.statistics["std"], 0.01 * drift

    @torch.no_grad()
    def _denoised(self, latents: torch.Tensor, captions: list[str], generator) -> torch.Tensor:
        """Latents noised and given back by the transformer in one step."""
        sigma = MODEL_NOISE * torch.rand(len(latents), 1, 1, 1, 1, generator=generator)
        sigma = sigma.to(latents.device)
        noise = torch.randn(latents.shape, generator=generator).to(latents.device)
        mixed = torch.lerp(latents, noise, sigma)
        text = encode(self.tokenizer, self.text_encoder, captions)
        velocity = self.transformer(mixed, sigma.flatten() * 1000, text, return_dict=False)[0]
        return mixed - sigma * velocity.float()

    def train_step(self) -> float:
        """One update on fresh clips; every step's randomness follows from (seed, step)."""
        rng = np.random.default_rng((self.args.seed, 1 + self.step))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        video, captions = self._clips(rng)
        with self._precision():
            latents, drift = self._normalised(video)
            level = NOISE * torch.rand(len(latents), 1, 1, 1, 1, generator=generator)
            noise = level * torch.randn(latents.shape, generator=generator)
            noisy = latents + noise.to(latents.device)
            if self.transformer is not None and self.step % 2:
                noisy = self._denoised(latents, captions, generator)
            decoded = self.codec.decoder(noisy)[:, :, TEMPORAL - 1 :]
        loss = functional.l1_loss(decoded.float(), video)  # squared error would blur outlines
        (loss + drift).backward()
        torch.nn.utils.clip_grad_norm_(self.learned.parameters(), 1.0)
        minutes = (time.monotonic() - self.started) / 60
        progress = max(self.step / self.args.steps, minutes / self.args.minutes)
        for group in self.optimizer.param_groups:
            group["lr"] = self.args.rate * learning_rate(self.step, progress)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.ema.update_parameters(self.codec)
        return float(loss.detach())

    def stateful(self) -> dict[str, Stateful]:
        return {
            "codec": self.codec,
            "ema": self.ema,
            "statistics": self.statistics,
            "optimizer": self.optimizer,
        }

    def finished(self) -> SmoothCodec:
        """The averaged autoencoder, its latents' mean and spread in its configuration."""
        codec = self.ema.module
        codec.register_to_config(
            latents_mean=tuple(self.statistics["mean"].flatten().tolist()),
            latents_std=tuple(self.statistics["std"].flatten().tolist()),
        )
        return codec.eval()


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/autoencoder"))
    parser.add_argument("--init", type=Path, help="folder of an autoencoder to begin with")
    parser.add_argument("--decoder", action="store_true", help="leave the encoder as it is")
    parser.add_argument("--transformer", type=Path, help="folder of a model for its errors")
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--crop", type=int, default=5, help="cells a side, of 8")
    parser.add_argument("--z-dim", type=int, default=12)
    parser.add_argument("--encoder-width", type=int, default=32)
    parser.add_argument("--decoder-width", type=int, default=48)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--bfloat16", action="store_true", help="on a CPU, too")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    args = parser().parse_args(arguments)
    torch.set_num_threads(args.threads)
    trainer = CodecTrainer(args)
    trainer.load()
    trainer.run()
    codec = trainer.finished()
    codec.save_pretrained(args.out / "vae", safe_serialization=True)
    for noise in (0.0, 0.1, 0.3):
        print(f"noise {noise:.1f}: {psnr(codec.cpu(), noise):.1f} dB")
