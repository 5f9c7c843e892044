"""Training of TinyWorld's autoencoder, resumable and seeded.

Encoder and decoder learn together to give back clean clips from latents that carry noise: whatever
a latent says survives some error. Latents are kept at mean 0 and variance 1 over the batch. With
`--init FOLDER` the encoder is another autoencoder's and stays as it is, so that its latents, and
every transformer trained on them, stay valid; only the decoder learns. `--transformer FOLDER` then
gives it latents with that model's own errors: noised, and denoised in one step.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import UMT5EncoderModel

from ..tinyworld.autoencoder import SPATIAL, TEMPORAL, SmoothCodec
from ..tinyworld.text import build_tokenizer, encode
from ..tinyworld.transformer import transformer_class
from ..tinyworld.world import plan
from .clips import Batch, Batches, held_out_scene, video_of
from .loop import Stateful, Trainer, memory_format

CHECKPOINT = "autoencoder.pt"
NOISE = 0.3  # strongest, in normalised latents
MODEL_NOISE = 0.6  # strongest that a transformer is asked to remove in one step
ANYWHERE = 0.25  # of the clips, cut at any place; the others where there is most to see
EMA_DECAY = 0.99
WARMUP_STEPS = 50
FLAT_SHARE = 0.5


def learning_rate(step: int, progress: float) -> float:
    """Factor on the peak rate: linear warm-up, flat, linear to a fiftieth.

    Args:
        step: Of the training, from 0.
        progress: Share of the run that is over.
    """
    fall = min(1.0, max(0.02, (1 - progress) / (1 - FLAT_SHARE)))
    return fall * min(1.0, (step + 1) / WARMUP_STEPS)


@torch.no_grad()
def psnr(codec: SmoothCodec, noise: float, clips: int = 24) -> float:
    """Decibels of decoded held-out clips, mean over clips, with that much noise on the latents."""
    rng, generator = np.random.default_rng(1), torch.Generator().manual_seed(1)
    decibels = []
    for i in range(clips):
        video = video_of(plan([held_out_scene(rng, 1 + i % 2)], rng))
        latents = codec.normalise(codec.encode(video))
        latents = latents + noise * torch.randn(latents.shape, generator=generator)
        decoded = codec.decoder(latents)[:, :, TEMPORAL - 1 :].clamp(-1, 1)
        error = float(functional.mse_loss(decoded, video)) / 4
        decibels.append(-10 * math.log10(max(error, 1e-10)))
    return sum(decibels) / len(decibels)


def cut(
    latents: torch.Tensor, video: torch.Tensor, side: int, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """The same part of latents and video, `side` cells high and wide, another one for each clip.

    Most parts lie where the latents change most from cell to cell: there is an outline.
    """
    if side == latents.shape[-1]:
        return latents, video
    most = [size - side for size in latents.shape[-2:]]
    detail = latents.detach()
    detail = (detail - detail.mean((2, 3, 4), keepdim=True)).square().sum((1, 2))
    parts, pictures = [], []
    for i, weight in enumerate(detail.flatten(1).double().cpu().numpy()):
        share = None if rng.random() < ANYWHERE else weight / weight.sum()
        place = divmod(int(rng.choice(len(weight), p=share)), latents.shape[-1])
        top, left = (min(max(0, at - side // 2), end) for at, end in zip(place, most, strict=True))
        parts.append(latents[i, :, :, top : top + side, left : left + side])
        rows, columns = (slice(SPATIAL * at, SPATIAL * (at + side)) for at in (top, left))
        pictures.append(video[i, :, :, rows, columns])
    return torch.stack(parts), torch.stack(pictures)


class CodecTrainer(Trainer):
    """The decoder's training; `args` as `main` reads them."""

    def __init__(self, args: argparse.Namespace):
        super().__init__(args, CHECKPOINT)
        torch.manual_seed(args.seed)
        if args.init:
            self.codec = SmoothCodec.from_pretrained(args.init)
        else:
            self.codec = SmoothCodec(
                z_dim=args.z_dim,
                latents_mean=(0.0,) * args.z_dim,
                latents_std=(1.0,) * args.z_dim,
                decoder_width=args.width,
                encoder_width=args.encoder_width,
            )
        self.learns_to_encode = not args.init
        self.codec.to(args.device, memory_format=memory_format(args.device))
        self.scale = torch.nn.BatchNorm3d(
            self.codec.config.z_dim, affine=False, momentum=0.01, device=args.device
        )
        self.draw = video_of
        if args.compile:
            self.draw = torch.compile(video_of)
            self.codec.decoder.compile()
            self.codec.encoder.compile()
        learning = [self.codec.decoder, *([self.codec.encoder] if self.learns_to_encode else [])]
        self.optimizer = torch.optim.AdamW(
            [p for part in learning for p in part.parameters()],
            args.rate,
            betas=(0.9, 0.99),
            fused=args.device.startswith("cuda"),
        )
        self.ema = AveragedModel(self.codec, multi_avg_fn=get_ema_multi_avg_fn(EMA_DECAY))
        self.batches: Iterator[Batch] | None = None
        self.started = time.monotonic()
        self.transformer = None
        if args.transformer:
            self.tokenizer = build_tokenizer()
            folder = args.transformer
            self.text_encoder = UMT5EncoderModel.from_pretrained(folder / "text_encoder")
            kind = transformer_class(folder / "transformer")
            self.transformer = kind.from_pretrained(folder / "transformer")
            for part in (self.text_encoder, self.transformer):
                part.eval().to(args.device)

    def _precision(self) -> torch.autocast:
        on = self.args.device.startswith("cuda") or self.args.bfloat16
        return torch.autocast(torch.device(self.args.device).type, torch.bfloat16, enabled=on)

    @torch.no_grad()
    def denoised(
        self, latents: torch.Tensor, captions: list[str], generator: torch.Generator
    ) -> torch.Tensor:
        """Latents noised, and given back by the transformer in one step."""
        at = {"generator": generator, "device": latents.device}
        sigma = MODEL_NOISE * torch.rand(len(latents), 1, 1, 1, 1, **at)
        noise = torch.randn(latents.shape, **at)
        mixed = torch.lerp(latents, noise, sigma)
        text = encode(self.tokenizer, self.text_encoder, captions)
        velocity = self.transformer(mixed, sigma.flatten() * 1000, text, return_dict=False)[0]
        return mixed - sigma * velocity.float()

    def batch(self) -> Batch:
        """The clips of the next step; the first call decides which step that is."""
        if self.batches is None:
            data = Batches(self.args.seed, self.args.batch, drop_captions=False)
            self.batches = data.since(self.step, self.args.steps, self.args.workers)
        return next(self.batches)

    def latents(self, video: torch.Tensor) -> torch.Tensor:
        """Normalised latents; an encoder that learns is normalised by the batch's own numbers."""
        if not self.learns_to_encode:
            with torch.no_grad():
                return self.codec.normalise(self.codec.encode(video).float())
        with self._precision():
            latents = self.codec.encode(video)
        return self.scale(latents.float())

    def train_step(self) -> torch.Tensor:
        """One update on fresh clips; every step's randomness follows from (seed, step)."""
        batch, device = self.batch(), self.args.device
        rng = np.random.default_rng(batch.seed)
        generator = torch.Generator(device).manual_seed(batch.seed)
        video = self.draw(batch.plan.to(device))
        if self.learns_to_encode:
            coarse = functional.avg_pool3d(video, (1, SPATIAL, SPATIAL))
            _, video = cut(coarse, video, self.args.crop, rng)
        latents = self.latents(video)
        if self.transformer is not None and self.step % 2:
            with self._precision():
                latents = self.denoised(latents, batch.captions, generator)
        level = NOISE * torch.rand(len(latents), 1, 1, 1, 1, generator=generator, device=device)
        noise = torch.randn(latents.shape, generator=generator, device=device)
        latents = latents + level * noise
        if not self.learns_to_encode:
            latents, video = cut(latents, video, self.args.crop, rng)
        with self._precision():
            decoded = self.codec.decoder(latents)[:, :, TEMPORAL - 1 :]
        loss = functional.l1_loss(decoded.float(), video)  # squared error would blur outlines
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.codec.parameters(), 1.0)
        minutes = (time.monotonic() - self.started) / 60
        progress = max(self.step / self.args.steps, minutes / self.args.minutes)
        for group in self.optimizer.param_groups:
            group["lr"] = self.args.rate * learning_rate(self.step, progress)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.ema.update_parameters(self.codec)
        return loss.detach()

    def stateful(self) -> dict[str, Stateful]:
        parts = {"codec": self.codec, "ema": self.ema, "optimizer": self.optimizer}
        return parts | {"scale": self.scale}

    def finished(self) -> SmoothCodec:
        """The averaged autoencoder."""
        codec = self.ema.module.eval()
        if self.learns_to_encode:
            codec.register_to_config(
                latents_mean=tuple(self.scale.running_mean.tolist()),
                latents_std=tuple(self.scale.running_var.sqrt().tolist()),
            )
        return codec


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/autoencoder"))
    parser.add_argument("--init", type=Path, help="folder of an autoencoder to begin with")
    parser.add_argument("--transformer", type=Path, help="folder of a model, for its errors")
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--crop", type=int, default=4, help="cells a side, of 8")
    parser.add_argument("--z-dim", type=int, default=12, help="numbers of a cell")
    parser.add_argument("--width", type=int, default=48, help="of the decoder's finest grid")
    parser.add_argument("--encoder-width", type=int, default=32, help="likewise of the encoder")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--bfloat16", action="store_true", help="on a CPU, too")
    parser.add_argument("--workers", type=int, default=0, help="processes that draw clips")
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
    codec = trainer.finished().cpu()
    codec.save_pretrained(args.out / "vae", safe_serialization=True)
    for noise in (0.0, 0.1, 0.3):
        print(f"noise {noise:.1f}: {psnr(codec, noise):.1f} dB")
