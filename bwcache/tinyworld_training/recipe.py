"""The whole training on one GPU, as commands: what made the weights that ship.

`python -m bwcache bench gpu` runs them as one of its parts, and the README quotes them.
"""

from __future__ import annotations

from pathlib import Path

# of the minutes: the autoencoder, the transformer, the decoder on the transformer's own errors
AUTOENCODER, TRANSFORMER, DECODER = 0.25, 0.6, 0.1
TINY = {  # one step of everything, to see that it runs
    "autoencoder": ("--steps", "1", "--batch", "1", "--width", "4", "--encoder-width", "4"),
    "train": ("--steps", "1", "--batch", "1", "--noises", "1", "--layers", "1", "--heads", "1"),
    "check": ("--seeds", "1", "--steps", "1"),
}


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
