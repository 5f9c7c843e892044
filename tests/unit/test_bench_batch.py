"""Prompts made together: the search for the best steps, and what a little noise changes."""

import json
import sys
from types import SimpleNamespace

import pytest
import torch

from bwcache import BWCachePlusConfig
from bwcache.bench import sensitivity
from bwcache.bench.batch import Batch
from bwcache.bench.methods_plan import Grid
from bwcache.bench.oracle import search
from bwcache.bench.sensitivity import moved
from bwcache.bench.workload import Workload
from bwcache.errors import ConfigError

PROMPT = "a red circle moving right on a white background"
OTHER = "a blue square bouncing on a gray background"


def test_a_search_moves_steps_and_keeps_their_number():
    """The closer, the nearer the computed steps are to 0 3 6: found from 0 1 2 or wherever."""

    class Known:
        noise = tuple(1 - i / 9 for i in range(9))

        def decibels(self, config):
            computed = [step for step, letter in enumerate(config.step_mask) if letter == "C"]
            return [50.0 - abs(sum(computed) - 9), 30.0 - abs(computed[1] - 3)]

    found = search(Known(), 3, 60, seed=0)
    assert len(found["shared"]["steps"]) == 3
    assert found["shared"]["steps"][0] == 0
    assert found["shared"]["psnr_db"] == 40.0
    assert found["of_each_prompt"]["psnr_db_of_each"] == [50.0, 30.0]
    assert found["rule"]["psnr_db"] <= found["shared"]["psnr_db"]


@pytest.mark.usefixtures("small_model")
def test_a_batch_is_as_close_as_its_prompts_alone():
    workload, grid = Workload(device="cpu", steps=6), Grid(6)
    pipe, config = workload.pipe(), BWCachePlusConfig(step_mask="CRCRCR")
    together = Batch(pipe, workload, grid, [PROMPT, OTHER]).decibels(config)
    alone = [Batch(pipe, workload, grid, [each]).decibels(config)[0] for each in (PROMPT, OTHER)]
    assert together == pytest.approx(alone, abs=0.01)


def test_a_little_of_another_noise_is_mixed_in_and_the_whole_stays_as_strong():
    own, seen = torch.randn(2, 4, 64, 64, generator=torch.Generator().manual_seed(0)), []

    class Known:
        def decibels(self, config=None, alter=None):
            seen.append(alter(own))
            return [10.0 * len(seen), 5.0]

    assert moved(Known(), 0.5, 2, seed=1) == [15.0, 5.0]
    for altered in seen:
        assert float(altered.std()) == pytest.approx(1.0, abs=0.02)
        cosine = torch.cosine_similarity(altered.flatten(), own.flatten(), dim=0)
        assert float(cosine) == pytest.approx(1 / 1.25**0.5, abs=0.02)
    assert not torch.equal(seen[0], seen[1])  # each draw is another noise
    parts = seen[0] * 1.25**0.5 - own
    assert torch.allclose(parts[0], parts[1], atol=1e-5)  # the same for all prompts


@pytest.mark.usefixtures("small_model")
def test_the_less_noise_is_changed_the_closer_a_video_stays():
    workload = Workload(device="cpu", steps=6)
    pipe = workload.pipe()
    batch = Batch(pipe, workload, Grid(6), [PROMPT])
    assert batch.decibels() == [99.0]  # the very same run
    much, little = (moved(batch, change, 1, seed=1)[0] for change in (0.5, 0.001))
    assert little > much + 10
    assert batch.decibels() == [99.0]  # and nothing stays altered
    assert "prepare_latents" not in vars(pipe)


def test_a_pipeline_that_draws_no_noise_of_its_own_is_refused():
    bare = SimpleNamespace(scheduler=None, components={})
    batch = Batch.__new__(Batch)
    vars(batch).update(_pipe=bare, _workload=Workload(device="cpu"), _grid=Grid(6), _prompts=[])
    with pytest.raises(ConfigError, match="^model: .*prepare_latents"):
        batch.decibels(alter=lambda noise: noise)


@pytest.mark.usefixtures("small_model")
def test_the_program_writes_each_prompts_number(tmp_path, monkeypatch):
    out = tmp_path / "found.json"
    given = ["x", "--grids", "4,4@5", "--prompts", "2", "--draws", "1", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", [*given, "--out", str(out)])
    sensitivity.main()
    found = json.loads(out.read_text())
    assert [(grid["steps"], grid["shift"]) for grid in found["grids"]] == [(4, None), (4, 5.0)]
    for grid in found["grids"]:
        assert len(grid["psnr_db_of_each"]) == len(found["prompts"]) == 2
        assert grid["psnr_db_worst"] == min(grid["psnr_db_of_each"])
    assert found["change"] == 0.01


@pytest.mark.parametrize(
    ("option", "value"), [("--change", "0"), ("--change", "nan"), ("--draws", "0")]
)
def test_what_it_refuses(option, value, tmp_path, monkeypatch):
    out = tmp_path / "found.json"
    monkeypatch.setattr(sys, "argv", ["x", option, value, "--out", str(out)])
    with pytest.raises(ConfigError, match=f"^{option[2:]}: "):
        sensitivity.main()
    assert not out.exists()
