"""Flow-matching training of TinyWorld's transformer and text encoder, resumable and seeded.

Draws its clips as it goes, so there is no data set. A run ends with `--steps` or `--minutes`, its
rate having come down to zero; the next one with the same `--out` goes on where it stopped, and one
with `--init FOLDER` begins with the weights of an exported model. The autoencoder must be trained
before and stays as it is.

`--long-skips N` gives the last N blocks an input each of the first ones; with `--init` of a model
without them they begin as nothing, and `--old-middle` makes them matter (see `old_middle`).

On a GPU, `--device cuda` computes in bfloat16.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..tinyworld.autoencoder import SmoothCodec
from ..tinyworld.text import build_text_encoder, build_tokenizer, encode
from ..tinyworld.transformer import build_transformer
from ..tinyworld.world import Plan
from .clips import Batch, Batches, video_of
from .loop import Stateful, Trainer, memory_format
from .old_middle import Noised, blocks_anew, earlier, velocity_with_old_middle

WEIGHTS = {
    "transformer": "transformer/diffusion_pytorch_model.safetensors",
    "text_encoder": "text_encoder/model.safetensors",
}
# the projections through which a block adds to its input
BLOCK_OUTPUTS = (
    *("attn1.to_out", "attn2.to_out", "ffn.net.2"),
    *("SelfAttention.o.", "DenseReluDense.wo."),
)
CHECKPOINT = "flow.pt"
HISTORY = "training.json"  # in a model's folder: every run its weights went through
EARLIER = "earlier.json"  # in a run's folder: the history of the weights it began with
SIZES = (8, 5, 0, 4, 128)  # layers, heads, skips, text layers, text width of a new model
TRAINING_SHIFT = 3.0  # moves noise levels towards noise, where a caption decides the picture
WARMUP_STEPS = 50
FLAT_SHARE = 0.6  # of a run, at the full rate


def sample_sigmas(size: int, generator: torch.Generator) -> torch.Tensor:
    """Noise levels `[size]` in 0–1: logit-normal, evenly spread over a batch, shifted to noise."""
    at = {"generator": generator, "device": generator.device}
    place = torch.randperm(size, **at) + torch.rand(size, **at)
    sigma = torch.special.ndtri((place / size).clamp(1e-4, 1 - 1e-4)).sigmoid()
    return TRAINING_SHIFT * sigma / (1 + (TRAINING_SHIFT - 1) * sigma)


def learning_rate(step: int, progress: float) -> float:
    """Factor on the peak rate: linear warm-up, flat, linear to zero.

    Args:
        step: Of the training, from 0.
        progress: Share of the run that is over.
    """
    warm_up = min(1.0, (step + 1) / WARMUP_STEPS)
    return warm_up * min(1.0, max(0.0, 1 - progress) / (1 - FLAT_SHARE))


def take_over(model: torch.nn.Module, weights: dict[str, torch.Tensor]) -> list[str]:
    """Copy another model's weights into a model; returns the names of those it has none for.

    Where a tensor has another number of latent channels or text numbers, the part that both have
    is copied. Blocks which the other model lacks begin as the identity: what they add is zero.
    """
    left = []
    for name, parameter in model.state_dict().items():
        source = weights.get(name)
        if source is None:
            left.append(name)
            if any(output in name for output in BLOCK_OUTPUTS):
                parameter.zero_()
            continue
        both = tuple(slice(min(a, b)) for a, b in zip(parameter.shape, source.shape, strict=True))
        parameter[both].copy_(source[both])
    return left


def sizes(args: argparse.Namespace) -> tuple[int, int, int, int, int]:
    """Layers, heads and long skips of the transformer, layers and width of the text encoder.

    What the command line leaves open is as in the model to begin with, or else `SIZES`.
    """
    given = (args.layers, args.heads, args.long_skips, args.text_layers, args.text_dim)
    known = SIZES
    if args.init:
        transformer = json.loads((args.init / "transformer" / "config.json").read_text())
        text_encoder = json.loads((args.init / "text_encoder" / "config.json").read_text())
        known = (
            transformer["num_layers"],
            transformer["num_attention_heads"],
            transformer.get("long_skips", 0),
            text_encoder["num_layers"],
            text_encoder["d_model"],
        )
    return tuple(other if one is None else one for one, other in zip(given, known, strict=True))


class FlowTrainer(Trainer):
    """The training of a transformer and its text encoder on a finished autoencoder's latents.

    Args:
        args: `out`, `init` and `codec` (folders of a model and of an autoencoder, or None), and
            the numbers that `main` reads from the command line.
    """

    def __init__(self, args: argparse.Namespace):
        super().__init__(args, CHECKPOINT)
        torch.manual_seed(args.seed)
        self.on_cuda = args.device.startswith("cuda")
        self.tokenizer = build_tokenizer()
        self.codec = SmoothCodec.from_pretrained(args.codec or args.init / "vae").eval()
        layers, heads, skips, text_layers, text_dim = sizes(args)
        z_dim = self.codec.config.z_dim
        self.model = torch.nn.ModuleDict(
            {
                "transformer": build_transformer(layers, heads, z_dim, text_dim, skips),
                "text_encoder": build_text_encoder(text_dim, text_layers),
            }
        )
        if args.init:
            for part, file in WEIGHTS.items():
                take_over(self.model[part], load_file(args.init / file))
        self.model.to(args.device)
        self.teacher = self._teacher() if args.skips_alone else None
        self.ema = AveragedModel(
            self.model, multi_avg_fn=get_ema_multi_avg_fn(args.ema_decay), use_buffers=False
        )
        self.optimizers = self._optimizers()
        self.batches: Iterator[Batch] | None = None
        self.started = time.monotonic()
        self.codec.to(args.device, memory_format=memory_format(args.device))
        self.draw = video_of
        if args.compile:
            self.draw = torch.compile(video_of)
            self.codec.encoder.compile()
            for block in self.model["transformer"].blocks:
                block.compile()

    def _teacher(self) -> torch.nn.Module:
        """The model to begin with, which the long skips alone are trained to be like.

        What else the model has is kept as it is, so that without a cache it stays that model as
        far as its skips let it: little data is enough, and nothing can be unlearned.
        """
        layers, heads, _, _, text_dim = sizes(self.args)
        teacher = build_transformer(layers, heads, self.codec.config.z_dim, text_dim)
        take_over(teacher, load_file(self.args.init / WEIGHTS["transformer"]))
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_("skip_projection" in name)
        return teacher.to(self.args.device).requires_grad_(False)

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        """Muon for the blocks' matrices, AdamW for all else (or for everything)."""
        named = [each for each in self.model.named_parameters() if each[1].requires_grad]
        matrices = [p for name, p in named if ".blocks." in name and p.ndim == 2 and self.args.muon]
        chosen = {id(p) for p in matrices}
        rest = [p for _, p in named if id(p) not in chosen]
        rate = self.args.learning_rate
        optimizers = [
            torch.optim.AdamW(rest, rate, betas=(0.9, 0.99), weight_decay=0.01, fused=self.on_cuda)
        ]
        if matrices:
            optimizers.append(
                torch.optim.Muon(
                    matrices,
                    self.args.muon_rate,
                    weight_decay=0.01,
                    adjust_lr_fn="match_rms_adamw",
                )
            )
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["peak"] = group["lr"]
        return optimizers

    def progress(self) -> float:
        """Share of this run that is over, by steps or by minutes, whichever is more."""
        minutes = (time.monotonic() - self.started) / 60
        return max(self.step / self.args.steps, minutes / self.args.minutes)

    def batch(self) -> Batch:
        """The clips of the next step; the first call decides which step that is."""
        if self.batches is None:
            data = Batches(self.args.seed, self.args.batch, self.args.pair_share)
            self.batches = data.since(self.step, self.args.steps, self.args.workers)
        return next(self.batches)

    def _precision(self) -> torch.autocast:
        on = self.on_cuda or self.args.bfloat16
        return torch.autocast(torch.device(self.args.device).type, torch.bfloat16, enabled=on)

    @torch.no_grad()
    def latents(self, plan: Plan) -> torch.Tensor:
        """Normalised latents of clips, drawn on the device."""
        with self._precision():
            latents = self.codec.encode(self.draw(plan))
        return self.codec.normalise(latents.float())

    def train_step(self) -> torch.Tensor:
        """One update; each clip is seen with several noises. Randomness follows seed and step."""
        device, noises = self.args.device, self.args.noises
        batch = self.batch()
        generator = torch.Generator(device).manual_seed(batch.seed)
        latents = self.latents(batch.plan.to(device)).repeat(noises, 1, 1, 1, 1)
        noise = torch.randn(latents.shape, generator=generator, device=device)
        sigma = sample_sigmas(len(latents), generator)
        mixed = torch.lerp(latents, noise, sigma.view(-1, 1, 1, 1, 1))
        with self._precision():
            text = encode(self.tokenizer, self.model["text_encoder"], batch.captions)
            text = text.repeat(noises, 1, 1)
        transformer = self.model["transformer"]
        skips = getattr(transformer.config, "long_skips", 0)
        if anew := blocks_anew(self.step, self.args.old_middle, skips):
            now, old = Noised(mixed, sigma), earlier(sigma, generator)
            before = Noised(torch.lerp(latents, noise, old.view(-1, 1, 1, 1, 1)), old)
            velocity = velocity_with_old_middle(
                transformer, now, before, text, anew, self._precision
            )
        else:
            with self._precision():
                velocity = transformer(mixed, sigma * 1000, text, return_dict=False)[0]
        target = noise - latents
        if self.teacher is not None:
            with torch.no_grad(), self._precision():
                target = self.teacher(mixed, sigma * 1000, text, return_dict=False)[0].float()
        loss = functional.mse_loss(velocity.float(), target)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        factor = learning_rate(self.step, self.progress())
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * factor
            optimizer.step()
            optimizer.zero_grad()
        self.ema.update_parameters(self.model)
        return loss.detach()

    def stateful(self) -> dict[str, Stateful]:
        optimizers = {f"optimizer_{i}": one for i, one in enumerate(self.optimizers)}
        return {"model": self.model, "ema": self.ema, **optimizers}


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/tinyworld"))
    parser.add_argument("--init", type=Path, help="folder of a model to begin with")
    parser.add_argument("--codec", type=Path, help="folder of the autoencoder, if not that model's")
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--batch", type=int, default=8, help="clips a step")
    parser.add_argument("--noises", type=int, default=2, help="noise levels a clip")
    parser.add_argument("--pair-share", type=float, default=0.7)
    for name in ("--layers", "--heads", "--long-skips", "--text-layers", "--text-dim"):
        parser.add_argument(name, type=int, help="as in the model to begin with, if left out")
    parser.add_argument(
        "--old-middle", type=float, default=0.0, metavar="SHARE",
        help="of the steps, with middle blocks of an earlier noise level; needs long skips",
    )  # fmt: skip
    parser.add_argument(
        "--skips-alone", action="store_true",
        help="keep all else of the model to begin with, and be like it; needs long skips",
    )  # fmt: skip
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--muon-rate", type=float, default=3e-3)
    parser.add_argument("--ema-decay", type=float, default=0.995, help="of the averaged weights")
    parser.add_argument("--no-muon", dest="muon", action="store_false")
    parser.add_argument("--bfloat16", action="store_true", help="on a CPU, too")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--workers", type=int, default=0, help="processes that draw clips")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser()
    args = options.parse_args(arguments)
    if not (args.init or args.codec):
        options.error("give --init, a model to begin with, or --codec, an autoencoder")
    layers, _, skips, *_ = sizes(args)
    if not 0 <= 2 * skips <= layers:
        options.error(f"--long-skips: {skips} given, allowed is 0 to {layers // 2}")
    if not 0 <= args.old_middle <= 1 or (args.old_middle and not skips):
        options.error(
            f"--old-middle: {args.old_middle} given, allowed is 0 to 1; above 0 add --long-skips 3"
        )
    if args.skips_alone and not (args.init and skips):
        options.error("--skips-alone: add --init, a model to begin with, and --long-skips 3")
    torch.set_num_threads(args.threads)
    trainer = FlowTrainer(args)
    resumed = trainer.load()
    if args.init and not resumed and (args.init / HISTORY).exists():
        args.out.mkdir(parents=True, exist_ok=True)
        shutil.copy(args.init / HISTORY, args.out / EARLIER)
    trainer.run()
