"""Training goes on where it stopped, step for step, and learns."""

import argparse
import math

import pytest
import torch

from bwcache.tinyworld_training.transformer import ModelTrainer


def trainer(out, steps: int) -> ModelTrainer:
    args = argparse.Namespace(
        out=out, seed=0, layers=1, heads=1, device="cpu", compile=False, muon=True,
        learning_rate=2e-3, muon_rate=3e-3, steps=steps, batch=2, minutes=math.inf,
    )  # fmt: skip
    return ModelTrainer(args)


@pytest.fixture(scope="module")
def straight(tmp_path_factory) -> ModelTrainer:
    made = trainer(tmp_path_factory.mktemp("straight"), 4)
    made.run()
    return made


def test_a_resumed_run_equals_one_without_a_stop(straight, tmp_path):
    first = trainer(tmp_path, 4)
    first.args.steps = 2  # warm-up does not depend on the total, so the rates are the same
    first.run()
    second = trainer(tmp_path, 4)
    assert second.load()
    assert second.step == 2
    second.run()
    pairs = zip(second.model.parameters(), straight.model.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_time_that_is_up_still_saves(tmp_path):
    stopped = trainer(tmp_path, 100)
    stopped.args.minutes = 0
    stopped.run()
    assert trainer(tmp_path, 100).load()
    assert not trainer(tmp_path / "elsewhere", 100).load()


def test_every_parameter_that_is_trained_moves(straight, tmp_path):
    fresh = trainer(tmp_path, 4)
    moved = {
        name: not torch.equal(one, other)
        for (name, one), other in zip(
            fresh.model.named_parameters(), straight.model.parameters(), strict=True
        )
    }
    assert all(moved.values()), [name for name, has_moved in moved.items() if not has_moved]
