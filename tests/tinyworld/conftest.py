"""A codec fitted to a few clips, and a tiny untrained model written as a folder."""

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch

from bwcache.tinyworld import codec as codecs
from bwcache.tinyworld_training import painter as decoder_training
from bwcache.tinyworld_training.clips import sample_batch
from bwcache.tinyworld_training.export import export
from bwcache.tinyworld_training.transformer import ModelTrainer


@pytest.fixture(scope="session")
def codec() -> codecs.PatchCodec:
    video = sample_batch(np.random.default_rng(0), 64)[0]
    return codecs.fit(codecs.to_patches(video).flatten(0, 3))[0]


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Path:
    """Folder of a training run that ended before its first step."""
    out = tmp_path_factory.mktemp("run")
    args = argparse.Namespace(
        out=out, seed=0, layers=2, heads=2, device="cpu", compile=False, muon=True,
        learning_rate=1e-3, muon_rate=1e-3, steps=1, batch=2,
    )  # fmt: skip
    ModelTrainer(args).save()
    return out


@pytest.fixture(scope="session")
def painting_codec(run) -> codecs.PatchCodec:
    torch.manual_seed(0)
    return decoder_training.codec_of_run(run / "checkpoint.pt", width=8)


@pytest.fixture(scope="session")
def decoder(run, tmp_path_factory) -> Path:
    """Folder of a decoder's training that ended before its first step."""
    out = tmp_path_factory.mktemp("decoder")
    args = argparse.Namespace(
        run=run / "checkpoint.pt", run_seed=0, out=out, seed=0, rate=1e-3, steps=1, batch=2
    )
    decoder_training.PainterTrainer(args).save()
    return out


@pytest.fixture(scope="session")
def model(run, decoder, tmp_path_factory) -> Path:
    """An untrained model as `export` writes it."""
    out = tmp_path_factory.mktemp("assets") / "tinyworld"
    export(run, decoder, out, check=None, curve=None)
    return out
