"""Flow-matching training of TinyWorld's transformer and text encoder, resumable and seeded.

Draws its clips as it goes, so there is no data set. `--minutes` or `--steps` ends a run; the next
one with the same `--out` goes on where it stopped. A finished run writes its model and the model's
card to `OUT/model`; a learned decoder is trained apart (`decoder_training`) and joins by `export`.

Under `torchrun --nproc-per-node N -m …` each of N processes draws a batch of its own and gradients
are averaged: on a busy CPU, two processes of one thread are faster than one of two threads.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..tinyworld import codec as codecs
from ..tinyworld.text import build_text_encoder, build_tokenizer, encode
from ..tinyworld.transformer import FLOW_SHIFT, build_transformer
from .clips import sample_batch
from .loop import Stateful, Trainer
from .muon import Muon

EMA_DECAY = 0.998
WARMUP_STEPS = 100
FLAT_SHARE = 0.6


def sample_sigmas(size: int, generator: torch.Generator) -> torch.Tensor:
    """Noise levels `[size]` in 0–1: logit-normal, then moved towards noise as at inference."""
    sigma = torch.randn(size, generator=generator).sigmoid()
    return FLOW_SHIFT * sigma / (1 + (FLOW_SHIFT - 1) * sigma)


def learning_rate(step: int, total: int) -> float:
    """Factor on the peak rate: linear warm-up, flat, linear to zero."""
    if step < WARMUP_STEPS:
        return (step + 1) / WARMUP_STEPS
    flat = FLAT_SHARE * total
    return 1.0 if step < flat else max(0.0, (total - step) / (total - flat))


class ModelTrainer(Trainer):
    """The transformer's and the text encoder's training, on a codec fitted first."""

    def __init__(self, args: argparse.Namespace):
        super().__init__(args, "checkpoint.pt", dist.get_rank() if dist.is_initialized() else 0)
        torch.manual_seed(args.seed)
        self.tokenizer = build_tokenizer()
        self.model = torch.nn.ModuleDict(
            {
                "transformer": build_transformer(args.layers, args.heads),
                "text_encoder": build_text_encoder(),
            }
        ).to(args.device)
        self.ema = AveragedModel(
            self.model, multi_avg_fn=get_ema_multi_avg_fn(EMA_DECAY), use_buffers=False
        )
        rng = np.random.default_rng(args.seed)
        patches = codecs.to_patches(sample_batch(rng, 256)[0]).flatten(0, 3)
        self.codec, self.kept_variance = codecs.fit(patches)
        self.optimizers = self._optimizers()
        if args.compile:
            for block in self.model["transformer"].blocks:
                block.compile()

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        """Muon for the blocks' matrices, AdamW for all else (or for everything)."""
        named = list(self.model.named_parameters())
        matrices = [p for name, p in named if ".blocks." in name and p.ndim == 2 and self.args.muon]
        chosen = {id(p) for p in matrices}
        rest = [p for _, p in named if id(p) not in chosen]
        rate = self.args.learning_rate
        optimizers = [torch.optim.AdamW(rest, rate, betas=(0.9, 0.99), weight_decay=0.01)]
        if matrices:
            optimizers.append(Muon(matrices, self.args.muon_rate))
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["peak"] = group["lr"]
        return optimizers

    def train_step(self) -> float:
        """One update on fresh clips; all randomness follows from (seed, step, process)."""
        rng = np.random.default_rng((self.args.seed, 1 + self.step, self.rank))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        video, captions = sample_batch(rng, self.args.batch)
        latents = self.codec.encode_normalised(video)
        noise = torch.randn(latents.shape, generator=generator)
        sigma = sample_sigmas(len(latents), generator)
        mixed = torch.lerp(latents, noise, sigma.view(-1, 1, 1, 1, 1))
        latents, noise, mixed, sigma = (
            x.to(self.args.device) for x in (latents, noise, mixed, sigma)
        )
        text = encode(self.tokenizer, self.model["text_encoder"], captions)
        velocity = self.model["transformer"](mixed, sigma * 1000, text, return_dict=False)[0]
        loss = functional.mse_loss(velocity.float(), noise - latents)
        loss.backward()
        self._average_gradients()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * learning_rate(self.step, self.args.steps)
            optimizer.step()
            optimizer.zero_grad()
        self.ema.update_parameters(self.model)
        return float(loss.detach())

    def _average_gradients(self) -> None:
        """The mean over all processes, in one exchange."""
        if not dist.is_initialized():
            return
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        flat /= dist.get_world_size()
        parts = flat.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def stateful(self) -> dict[str, Stateful]:
        optimizers = {f"optimizer_{i}": one for i, one in enumerate(self.optimizers)}
        return {"model": self.model, "ema": self.ema, "codec": self.codec, **optimizers}


def train(arguments: Sequence[str] | None = None) -> ModelTrainer:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/tinyworld"))
    parser.add_argument("--steps", type=int, default=3500)
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--muon-rate", type=float, default=3e-3)
    parser.add_argument("--no-muon", dest="muon", action="store_false")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args(arguments)
    if dist.is_torchelastic_launched():
        dist.init_process_group("nccl" if args.device == "cuda" else "gloo")
    trainer = ModelTrainer(args)
    trainer.load()
    trainer.run()
    return trainer
