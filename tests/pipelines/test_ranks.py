"""Two processes that share a video decide alike, and make what one process makes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bwcache.cache.probes import Samples, Shares, finished
from bwcache.cache.ranks import Ranks
from bwcache.cache.sampling import Parts, sample_tokens
from tests.pipelines.two_ranks import results
from tests.pipelines.zoo_wan import wan21_t2v

ROOT = Path(__file__).parents[2]
PATIENCE = 240  # seconds; processes that wait for one another would wait for ever


def together(folder: Path, settings: list[dict]) -> list[list[dict]]:
    """What each of two processes finds."""
    outs = [folder / f"{rank}.json" for rank in range(2)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.pipelines.two_ranks",
                str(rank),
                str(folder / "meeting"),
                str(out),
                json.dumps(settings),
            ],
            cwd=ROOT,
            env=environment,
            stderr=subprocess.PIPE,
        )
        for rank, out in enumerate(outs)
    ]
    try:
        for process in processes:
            _, said = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0, said.decode()[-2000:]
    finally:
        for process in processes:
            process.kill()
    return [json.loads(out.read_text()) for out in outs]


def test_two_processes_decide_and_give_what_one_does(tmp_path):
    """At thresholds just above a measured indicator the processes' own parts would decide apart."""
    tiny = wan21_t2v()
    (measured,) = results(tiny.run, tiny.pipe, [{"threshold": 0.0}])
    found = sorted(x for x in measured["indicators"] if x is not None)
    settings = [
        {"threshold": 0.0},
        *({"threshold": x * 1.001, "reuse_interval": 2, "gate": "recheck"} for x in found[:3]),
        {"threshold": 1e6, "reuse_interval": 2},
        {"threshold": 1e6, "reuse_interval": 2, "reuse": "output"},
        {"threshold": 1e6, "reuse_interval": 1, "reuse": "forecast"},
        {"threshold": 0.0, "indicator_tokens": 5},
    ]
    alone = results(tiny.run, tiny.pipe, settings)
    for rank in together(tmp_path, settings):
        for one, here in zip(alone, rank, strict=True):
            assert here["letters"] == one["letters"]
            assert here["indicators"] == pytest.approx(one["indicators"], abs=1e-5)
            assert here["latents"] == pytest.approx(one["latents"], abs=2e-4)
    assert any("r" in one["letters"] for one in alone[1:4])


@pytest.mark.parametrize("wanted", [None, 4, 7])
@pytest.mark.parametrize("batch", [1, 3])
def test_the_parts_samples_are_those_of_the_whole(wanted, batch):
    torch.manual_seed(0)
    whole = torch.randn(batch, 12, 4)
    parts = whole.chunk(2, dim=1)
    every = spacing(batch * 12, wanted)
    rows = [
        part.reshape(-1, 4)[rows_of_part(batch, 6, every, rank, 2, part.device)]
        for rank, part in enumerate(parts)
    ]
    taken = torch.cat(rows)
    expected = sample_tokens(whole, wanted)
    assert sorted(taken.tolist()) == sorted(expected.tolist())


@pytest.mark.parametrize("metric", ["relative_l1", "change", "size", "cosine"])
def test_sums_added_up_over_parts_are_those_of_the_whole(metric):
    torch.manual_seed(1)
    calls = [torch.randn(2, 6, 4) for _ in range(2)]
    whole = Samples(7, metric, "measured")
    parts = [Samples(7, metric, "measured") for _ in range(2)]
    for features in calls:
        whole.begin()
        whole.take(features)
        numbers = whole.read()
        whole.settle()
        sums = []
        for rank, samples in enumerate(parts):
            samples.begin(Shares(ranks=Ranks(None, rank, 2)))
            samples.take(features.chunk(2, dim=1)[rank])
            sums.append(samples.read())
            samples.settle()
    assert torch.allclose(finished(sums[0] + sums[1], metric)[:, 0], numbers)


def test_what_the_first_block_splits_is_split_for_the_residual():
    whole, ranks = torch.arange(24.0).reshape(1, 6, 4), Ranks(None, 1, 2)
    assert torch.equal(ranks.part(whole, torch.zeros(1, 3, 4)), whole[:, 3:])
    assert ranks.part(whole, torch.zeros(1, 6, 4)) is whole
    assert ranks.part(whole, torch.zeros(1, 5, 4)) is whole
    assert ranks.part(None, None) is None
