"""The whole training on one GPU, as commands: what made the weights that ship.

`python -m bwcache bench gpu` runs those of TinyWorld as one of its parts, and the README quotes
them. `python -m bwcache.tinyworld_training recipe` runs one of the recipes from begin to end.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ..files import ASSETS

# of the minutes: the autoencoder, the transformer, the decoder on the transformer's own errors
AUTOENCODER, TRANSFORMER, DECODER = 0.25, 0.6, 0.1
TINY = {  # one step of everything, to see that it runs
    "autoencoder": ("--steps", "1", "--batch", "1", "--width", "4", "--encoder-width", "4"),
    "train": ("--steps", "1", "--batch", "1", "--noises", "1", "--layers", "1", "--heads", "1"),
    "check": ("--seeds", "1", "--steps", "1"),
}
SHIPPED = ASSETS / "tinyworld"
OLD_MIDDLE = 0.7  # of the steps of training with long skips
LONG_SKIPS = 3  # of 8 blocks; the two in the middle would be handed what they have


def gpu_commands(out: Path, minutes: float, small: bool = False) -> list[list[str]]:
    """Arguments of `python -m bwcache.tinyworld_training`, one list a command, in their order.

    Args:
        out: Folder for everything; `out / "model"` is the model.
        minutes: For all training together; writing and checking come on top.
        small: One step of each, on a CPU.
    """
    device = ["--device", "cpu" if small else "cuda"]
    codec, run, decoder, model = (str(out / name) for name in ("codec", "run", "decoder", "model"))
    fast = [] if small else ["--workers", "6"]
    compiled = [] if small else ["--compile"]  # takes half a minute, worth it in a long run

    def sized(command: str, *given: str) -> list[str]:
        return list(TINY[command] if small else given)

    def lasting(share: float) -> list[str]:
        return ["--minutes", f"{minutes * share:.2f}", *device, *fast]

    width = sized("autoencoder", "--batch", "96", "--crop", "4")
    size = sized("train", "--batch", "256", "--noises", "4", "--ema-decay", "0.999")
    return [
        ["autoencoder", "--out", codec, *width, *lasting(AUTOENCODER)],
        ["train", "--out", run, "--codec", f"{codec}/vae", *size, *compiled,
         *lasting(TRANSFORMER)],
        ["export", "--run", run, "--codec", f"{codec}/vae", "--out", model],
        ["autoencoder", "--out", decoder, "--init", f"{codec}/vae", "--transformer", model,
         *width, *lasting(DECODER)],
        ["export", "--run", run, "--codec", f"{decoder}/vae", "--out", model],
        ["check", "--model", model, "--json", str(out / "check.json"), *device,
         *sized("check", "--seeds", "2")],
    ]  # fmt: skip


def skip_commands(out: Path, minutes: float, small: bool = False) -> list[list[str]]:
    """The same for TinyWorld with long skips: its weights that ship, and skips trained alone.

    A processor does: each step learns three small matrices from a prediction without noise of its
    own. Where there is a GPU it is used.

    Args:
        out: Folder for everything; `out / "model"` is the model.
        minutes: For training; writing and checking come on top.
        small: Two steps, on a CPU.
    """
    run, model, check = str(out / "run"), str(out / "model"), str(out / "check.json")
    old = 0.5 if small else OLD_MIDDLE
    skips = ["--long-skips", str(LONG_SKIPS), "--old-middle", str(old)]
    export = ["export", "--run", run, "--codec", str(SHIPPED / "vae"), "--out", model,
              "--relative", str(SHIPPED)]  # fmt: skip
    note = (
        "In the last run the long skips alone were trained, to be like TinyWorld's own uncached "
        f"prediction: in {10 * old:.0f} of 10 steps with the middle blocks' features of an earlier "
        "noise level. So its losses are differences to TinyWorld's, and all other weights are "
        "TinyWorld's."
    )
    size = ["--batch", "4", "--noises", "2", "--ema-decay", "0.99", "--no-muon",
            "--learning-rate", "1e-3"]  # fmt: skip
    if small:
        size = ["--steps", "2", "--batch", "1", "--noises", "1"]
    return [
        ["train", "--out", run, "--init", str(SHIPPED), *skips, "--skips-alone", *size,
         "--minutes", f"{minutes:.2f}"],
        export,
        ["check", "--model", model, "--json", check,
         *(TINY["check"] if small else ("--seeds", "1"))],
        [*export, "--check", check, "--note", note],
    ]  # fmt: skip


RECIPES = {"tinyworld": gpu_commands, "long-skips": skip_commands}


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("--out", type=Path, required=True, help="folder for all that is made")
    parser.add_argument("--minutes", type=float, default=6.0, help="for all training together")
    parser.add_argument("--small", action="store_true", help="a step or two of each, on a CPU")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a recipe's commands; ends with the status of the first that failed, or of the check.

    A run that was broken off is gone on from, as each command does by itself.
    """
    options = parser()
    args = options.parse_args(arguments)
    if not 0 < args.minutes < math.inf:
        options.error(f"--minutes: {args.minutes} given, allowed is a number above 0")
    args.out.mkdir(parents=True, exist_ok=True)
    missed = 0
    for command in RECIPES[args.recipe](args.out, args.minutes, args.small):
        print(" ".join(command), flush=True)
        status = subprocess.run([sys.executable, "-m", __package__, *command]).returncode
        if status == 1 and command[0] == "check":  # it has told which goals are missed
            missed = status
        elif status:
            return status
    return missed
