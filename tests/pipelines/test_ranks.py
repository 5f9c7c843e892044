"""Two processes that share a video decide alike, and make what one process makes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from diffusers import FirstBlockCacheConfig as DiffusersFirstBlock
from diffusers import HunyuanVideoPipeline

from bwcache import BWCacheConfig, CacheError, ConfigError, built_in
from bwcache.cache.calibration import VARIABLE
from bwcache.cache.context_parallel import check_can_split
from bwcache.cache.in_turns import Entrant, cached_in_turns
from bwcache.cache.method import Probe
from bwcache.cache.methods import METHODS
from bwcache.cache.probes import TERMS, Samples, Shares, finished
from bwcache.cache.ranks import Ranks
from bwcache.cache.readings import decisive
from bwcache.cache.sampling import Parts, rows_of_part, sample_tokens, spacing
from bwcache.cache.turns import Runner
from tests.conftest import build_wan
from tests.methods.calibrations import FLAT, needing, write
from tests.pipelines.test_methods import EAGER
from tests.pipelines.two_ranks import MODELS, results
from tests.pipelines.zoo_cog_ltx import mochi
from tests.pipelines.zoo_hunyuan import hunyuan
from tests.pipelines.zoo_wan import wan21_t2v

ROOT = Path(__file__).parents[2]
PATIENCE = 300  # seconds; processes that wait for one another would wait for ever
UNEVEN = {"height": 48, "width": 48}  # 27 tokens: 14 in one process, 13 in the other
EVERY_METHOD = ("wan", "cogvideox", "hunyuan")
SOME = ("bwcache", "first_block_cache", "dicache")
CALLS = {"ltx": {"height": 96, "width": 96, "num_frames": 17}}
GROWTHS = [0.0403, 0.0450]  # what each process measures; together 0.04265 at first
ABOVE, BELOW, WIDE = 0.0440, 0.0415, 1.0


def run_of(method: str, model: str, **settings) -> dict:
    named = {"calibration": "mine"} if METHODS[method].needs_calibration else {}
    settings = {**named, **(settings or EAGER.get(method, {}))}
    return {"method": method, "settings": settings, "call": CALLS.get(model, UNEVEN)}


def runs_of(model: str) -> list[dict]:
    """Every method as it reuses most, and BWCache with a forecast and with few tokens."""
    if model not in EVERY_METHOD:
        return [run_of(name, model) for name in SOME]
    runs = [run_of(name, model) for name in METHODS]
    forecast = {"threshold": 1e6, "reuse_interval": 1, "reuse": "forecast"}
    runs.append(run_of("bwcache", model, **forecast))
    runs.append(run_of("bwcache", model, threshold=0.0, indicator_tokens=5))
    return runs


def at_what_was_measured() -> list[dict]:
    """Thresholds just above an indicator, where the processes' own parts would decide apart."""
    (found,) = results(wan21_t2v(), [{"method": "bwcache", "settings": {"threshold": 0.0}}])
    values = sorted(x for x in found["indicators"] if x is not None)
    some = [{"threshold": x * 1.001, "reuse_interval": 2, "gate": "recheck"} for x in values[:3]]
    outputs = {"threshold": 1e6, "reuse_interval": 2, "reuse": "output"}
    return [{"method": "bwcache", "settings": each} for each in (*some, outputs)]


def together(folder: Path, jobs: list[dict]) -> list[list]:
    """What each of two processes finds."""
    outs = [folder / f"{rank}.json" for rank in range(2)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    program = [sys.executable, "-m", "tests.pipelines.two_ranks"]
    given = [str(folder / "meeting")], [json.dumps(jobs)]
    processes = [
        subprocess.Popen(
            [*program, str(rank), *given[0], str(out), *given[1]],
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


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """By job: what one process finds, and each of two; all jobs in one pair of processes."""
    folder = tmp_path_factory.mktemp("ranks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(folder / "calibrations"))
        for method, numbers in FLAT.items():
            write(folder / "calibrations", method, numbers)
        models = (*EVERY_METHOD, "wan2.2", "wan-ti2v", "ltx")
        jobs = {name: {"model": name, "way": "split", "runs": runs_of(name)} for name in models}
        jobs["near"] = {"model": "wan", "way": "diffusers", "runs": at_what_was_measured()}
        thresholds = [ABOVE, BELOW, WIDE]
        toy = {"model": "toy", "given": {"growths": GROWTHS, "thresholds": thresholds}}
        shared = together(folder, [*jobs.values(), toy])
        alone = [results(MODELS[job["model"]](), job["runs"]) for job in jobs.values()]
    pairs = zip(*shared, strict=True)
    by_job = dict(zip([*jobs, "toy"], pairs, strict=True))
    return {name: (one, by_job[name]) for name, one in zip(jobs, alone, strict=True)} | {
        "toy": (None, by_job["toy"])
    }


def in_pairs(found, job: str):
    """One process's run and the same run of each of two."""
    alone, shared = found[job]
    return [(one, rank) for ranks in shared for one, rank in zip(alone, ranks, strict=True)]


JOBS = (*EVERY_METHOD, "wan2.2", "wan-ti2v", "ltx", "near")


@pytest.mark.parametrize("job", JOBS)
def test_two_processes_decide_measure_and_give_what_one_does(job, found):
    for one, here in in_pairs(found, job):
        assert here.get("refused") == one.get("refused")
        if "refused" in one:
            continue
        assert here["blocks"] == one["blocks"]
        assert here["reasons"] == one["reasons"]
        for mine, its in zip(here["numbers"], one["numbers"], strict=True):
            assert mine.keys() == its.keys()
            for name, numbers in its.items():
                assert mine[name] == pytest.approx(numbers, rel=1e-5, abs=1e-6)
        assert here["latents"] == pytest.approx(one["latents"], abs=2e-5)


OF_CALLS = {"fastercache", "mixcache"}  # estimate the calls of guidance branches


@pytest.mark.parametrize("job", EVERY_METHOD)
def test_every_method_of_the_registry_was_tried_and_nearly_all_reuse(job, found):
    alone, _ = found[job]
    by_method = dict(zip(METHODS, alone, strict=False))
    refused = [name for name, one in by_method.items() if "refused" in one]
    # whose modules are not known there, or whose frames have no timesteps of their own; some have
    # no guidance branches apart, none long skips
    others = {"flowcache", "skip_cache"} | (set() if job == "wan" else {"pab"})
    assert {*refused} - OF_CALLS == others
    reusing = [
        name
        for name, one in by_method.items()
        if "blocks" in one and any("r" in blocks for blocks in one["blocks"])
    ]
    assert {*METHODS} - {*reusing, *refused} - OF_CALLS <= {"easycache"}


def test_thresholds_near_what_was_measured_are_told_apart(found):
    alone, _ = found["near"]
    assert any("r" in blocks for one in alone[:3] for blocks in one["blocks"])


@pytest.mark.parametrize("job", ["wan", "wan2.2", "wan-ti2v", "ltx"])
def test_what_is_kept_is_split_too(job, found):
    """Byte for byte: both parts together are what one process keeps."""
    alone, (first, second) = found[job]
    for run, one, here, there in zip(runs_of(job), alone, first, second, strict=True):
        if "refused" in one:
            continue
        method = METHODS[run["method"]](**run["settings"])
        if method.site == "call" or method.guidance == "needed":
            assert one["kept"] == here["kept"] == there["kept"]  # of whole calls: latents
        elif method.guidance != "unused":  # both, in turns
            assert max(here["kept"]) < max(one["kept"])
        else:
            assert [a + b for a, b in zip(here["kept"], there["kept"], strict=True)] == one["kept"]
            assert max(here["kept"]) < max(one["kept"]) or run["settings"].get("threshold") == 0


@pytest.mark.parametrize("job", ["cogvideox", "hunyuan"])
def test_the_text_is_kept_whole_where_it_is_a_stream_of_its_own(job, found):
    alone, (first, second) = found[job]
    one, here, there = alone[0], first[0], second[0]
    text = max(here["kept"]) + max(there["kept"]) - max(one["kept"])
    assert 0 < text < max(here["kept"]) < max(one["kept"])


def test_processes_that_measure_apart_decide_alike(found):
    """Where one alone would reuse and the other compute, they would wait for ever."""
    _, (first, second) = found["toy"]
    assert first == second
    above, below = first[str(ABOVE)], first[str(BELOW)]
    assert GROWTHS[0] < BELOW < ABOVE < GROWTHS[1]
    assert above["letters"].startswith("CCr")
    assert set(below["letters"]) == {"C"}
    assert above["indicators"][1] == pytest.approx(sum(GROWTHS) / 2, rel=1e-4)
    # not the mean of quotients: the part that has grown more counts for more
    grown = [1 + growth for growth in GROWTHS]
    pooled = sum(g**2 - g for g in grown) / sum(grown)
    assert below["indicators"][2] == pytest.approx(pooled, rel=1e-4)
    assert pooled > sum(GROWTHS) / 2


@pytest.mark.parametrize("whim", ["lots", "clock"])
def test_a_method_that_draws_lots_or_looks_at_a_clock_decides_once_for_all(whim, found):
    _, (first, second) = found["toy"]
    assert first[whim]["letters"] == second[whim]["letters"]
    assert len(first[whim]["letters"]) == 12


def test_what_is_not_a_number_in_one_process_is_not_one_in_any(found):
    _, (first, second) = found["toy"]
    letters = first["spoilt"]["letters"]
    assert letters == second["spoilt"]["letters"]
    assert letters[4:6] == "CC"
    assert first["spoilt"]["indicators"][4] != first["spoilt"]["indicators"][4]


# -- by hand ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [None, 4, 7])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("tokens", [12, 13])
def test_the_parts_samples_are_those_of_the_whole(wanted, batch, tokens):
    torch.manual_seed(0)
    whole = torch.randn(batch, tokens, 4)
    every, before, taken = spacing(batch * tokens, wanted), 0, []
    for part in whole.tensor_split(2, dim=1):
        here = part.shape[1]
        rows = rows_of_part(batch, here, before, tokens, every, part.device)
        taken += part.reshape(-1, 4)[rows].tolist()
        before += here
    assert sorted(taken) == sorted(sample_tokens(whole, wanted).tolist())


class Told(Ranks):
    """Ranks that know without asking how long all parts are."""

    def lengths(self, here, device):
        return (7, 6)


def test_numbers_for_each_token_are_sampled_by_token_and_number():
    """As of a model with a timestep for every token: `[batch, tokens, 6, channels]`."""
    whole, taken = torch.randn(2, 13, 6, 4), []
    for rank, part in enumerate(whole.tensor_split(2, dim=1)):
        rows = Parts(Told(None, rank, 2, even=False)).rows(part, 20)
        taken += part.reshape(-1, 4)[rows].tolist()
    assert sorted(taken) == sorted(sample_tokens(whole, 20).tolist())


@pytest.mark.parametrize("metric", TERMS)
@pytest.mark.parametrize("wanted", [None, 7, 1])
def test_sums_added_up_over_parts_are_those_of_the_whole(metric, wanted):
    torch.manual_seed(1)
    calls = [torch.randn(2, 13, 4) for _ in range(2)]
    whole = Samples(wanted, metric, "measured")
    parts = [Samples(wanted, metric, "measured") for _ in range(2)]
    ranks = [Told(None, rank, 2, even=False) for rank in range(2)]
    for features in calls:
        whole.begin()
        whole.take(features)
        numbers = whole.read()
        whole.settle()
        sums = []
        for rank, samples in enumerate(parts):
            samples.begin(Shares(parts=Parts(ranks[rank])))
            samples.take(features.tensor_split(2, dim=1)[rank])
            sums.append(samples.read())
            samples.settle()
    assert torch.allclose(finished(sums[0] + sums[1], metric)[:, 0], numbers, atol=1e-6)


class Doubling(Ranks):
    """Ranks whose other process has measured the very same."""

    def add_up(self, sums):
        return sums * 2


def test_what_another_process_has_not_measured_is_not_a_number():
    """Nothing is reused on half of a measurement."""
    probes = [Probe("a", "output", (0, 1)), Probe("b", "output", (0,), metric="cosine")]
    measured = torch.tensor([[[1.0], [6.0]], [[2.0], [3.0]]])  # [sums, blocks, videos]
    ranks, cpu = Doubling(None, 0, 2), torch.device("cpu")
    assert decisive([[measured], [None]], probes, 1, ranks, cpu) == {"a": (0.5, 2.0)}

    class Lacking(Ranks):
        def add_up(self, sums):
            sums[-1] += 1  # the other's mark that it lacks the last one
            return sums

    lacking = Lacking(None, 0, 2)
    found = decisive([[measured], [torch.ones(3, 1, 1)]], probes, 1, lacking, cpu)
    assert found["a"] == (0.5, 2.0)
    assert found["b"][0] != found["b"][0]


def test_what_the_first_block_splits_is_split_for_the_residual():
    whole, ranks = torch.arange(24.0).reshape(1, 6, 4), Ranks(None, 1, 2)
    assert torch.equal(ranks.part(whole, torch.zeros(1, 3, 4)), whole[:, 3:])
    assert ranks.part(whole, torch.zeros(1, 6, 4)) is whole
    assert ranks.part(whole, torch.zeros(1, 5, 4)) is whole
    assert ranks.part(None, None) is None
    odd = torch.arange(28.0).reshape(1, 7, 4)
    assert torch.equal(ranks.part(odd, torch.zeros(1, 3, 4)), odd[:, 4:])


# -- what is refused -------------------------------------------------------------------------------


def test_models_that_nobody_has_tried_are_refused_in_one_line():
    with pytest.raises(ConfigError, match="MochiTransformer3DModel.*one of Wan"):
        check_can_split(mochi().pipe.transformer)
    counting = hunyuan(HunyuanVideoPipeline, image_condition_type="token_replace")
    with pytest.raises(ConfigError, match="token_replace.*first frame"):
        check_can_split(counting.pipe.transformer)


def test_turns_by_the_clock_and_diffusers_own_first_block_cache_are_refused(monkeypatch):
    monkeypatch.setattr(Ranks, "of", lambda *given: Ranks(None, 0, 2))
    pipe = build_wan(layers=2)
    entrants = [Entrant(pipe, BWCacheConfig(), Runner("cached"))]
    refused = pytest.raises(CacheError, match="one run after the other")
    with refused, cached_in_turns(entrants, torch.device("cpu")):
        pass
    config = DiffusersFirstBlock(threshold=0.1)
    with pytest.raises(CacheError, match="wait for one another"), built_in(pipe, config):
        pass


def test_calibrations_were_there_for_all_that_need_one():
    assert {*needing()} <= {*FLAT}
