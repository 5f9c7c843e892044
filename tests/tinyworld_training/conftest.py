"""A tiny autoencoder and a training run that ended before its first step, as folders."""

from pathlib import Path

import pytest

from bwcache.tinyworld_training import autoencoder, transformer


def codec_trainer(out: Path, *arguments: str) -> autoencoder.CodecTrainer:
    """A trainer of the smallest autoencoder, on parts of clips."""
    given = ["--out", str(out), "--z-dim", "4", "--width", "4", "--encoder-width", "4",
             "--batch", "2", "--crop", "2", "--device", "cpu"]  # fmt: skip
    return autoencoder.CodecTrainer(autoencoder.parser().parse_args([*given, *arguments]))


def flow_trainer(out: Path, codec: Path, *arguments: str) -> transformer.FlowTrainer:
    """A trainer of a transformer of one narrow block."""
    given = ["--out", str(out), "--codec", str(codec), "--layers", "1", "--heads", "1",
             "--text-layers", "1", "--batch", "1", "--steps", "4", "--device", "cpu"]  # fmt: skip
    return transformer.FlowTrainer(transformer.parser().parse_args([*given, *arguments]))


@pytest.fixture(scope="session")
def codec_folder(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("autoencoder")
    codec_trainer(out).finished().save_pretrained(out / "vae", safe_serialization=True)
    return out / "vae"


@pytest.fixture(scope="session")
def run(codec_folder, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("run")
    flow_trainer(out, codec_folder).save()
    return out
