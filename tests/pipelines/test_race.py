"""Runs in turns, step by step, on one set of weights: each is what it is alone, bit for bit."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import diffusers
import pytest
import torch

from bwcache import BWCacheConfig, FORAConfig, cached
from bwcache.cache.in_turns import Entrant, cached_in_turns
from bwcache.cache.lanes import sharing
from bwcache.cache.turns import RaceEnded, Runner
from tests.pipelines import zoo_cog_ltx, zoo_hunyuan, zoo_latte, zoo_wan
from tests.pipelines.test_works_with import model_offload, sequential_offload
from tests.pipelines.tiny import Tiny

MEASURING, REUSING = BWCacheConfig(0.0), BWCacheConfig(1e6, 2)


def heun() -> Tiny:
    """Each step but the last calls the transformer twice."""
    tiny = zoo_wan.wan21_t2v()
    tiny.pipe.scheduler = diffusers.FlowMatchHeunDiscreteScheduler(shift=2.0)
    return replace(tiny, steps=5)


def in_turns(
    tiny: Tiny,
    configs: Sequence[BWCacheConfig],
    order: list | None = None,
    fail_at: int | None = None,
) -> tuple[list[torch.Tensor | BaseException], list]:
    """Every run's latents (or what it raised) and trace. `order` is told whose step ended."""
    runs: list[Tiny] = [replace(tiny, pipe=sharing(tiny.pipe)) for _ in configs]
    out: dict[int, torch.Tensor | BaseException] = {}

    def told(number: int) -> Callable:
        def on_step(record, latents):
            if order is not None:
                order.append(number)
            if fail_at == record.step_index and number == 1:
                raise ZeroDivisionError

        return on_step

    entrants = [
        Entrant(run.pipe, config, Runner(str(number)), told(number), lambda record: 1.0)
        for number, (run, config) in enumerate(zip(runs, configs, strict=True))
    ]

    def work(turns, number: int) -> None:
        try:
            with turns.taking_part(entrants[number].runner):
                out[number] = runs[number].run()
        except RaceEnded as ended:
            out[number] = ended
        except BaseException as error:
            turns.end()
            out[number] = error

    with cached_in_turns(entrants, torch.device("cpu")) as (turns, states):
        threads = [threading.Thread(target=work, args=(turns, n)) for n in range(len(runs))]
        for entrant in entrants:
            turns.add(entrant.runner)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        traces = [state.traces for state in states]
    return [out[number] for number in range(len(runs))], traces


def alone(tiny: Tiny, config: BWCacheConfig) -> tuple[torch.Tensor, list]:
    with cached(tiny.pipe, config) as run:
        latents = tiny.run()
    return latents, run.traces


def test_one_by_blocks_and_another_by_their_modules():
    configs = (MEASURING, FORAConfig(2, "modules"), REUSING)
    found, traces = in_turns(zoo_wan.wan21_t2v(), configs)
    for config, latents, (trace,) in zip(configs, found, traces, strict=True):
        expected, (single,) = alone(zoo_wan.wan21_t2v(), config)
        assert torch.equal(latents, expected)
        assert trace.letters == single.letters


def decisions(traces: list) -> list[list[tuple]]:
    return [[(step.action, step.reason, step.distances) for step in each.steps] for each in traces]


ROWS: dict[str, Callable[[], Tiny]] = {
    "wan": zoo_wan.wan21_t2v,  # UniPC
    "heun": heun,
    "two experts": zoo_wan.wan22_t2v,
    "cogvideox": zoo_cog_ltx.cogvideox,
    "draws noise": zoo_cog_ltx.cogvideox_dpm,
    "hunyuanvideo": zoo_hunyuan.hunyuan_t2v,
    "guider": zoo_hunyuan.hunyuan15_t2v,
    "several loops": zoo_wan.helios,
    "latte": zoo_latte.latte,
}


@pytest.mark.parametrize("name", ROWS)
def test_each_run_is_what_it_is_alone(name):
    tiny = ROWS[name]()
    expected = [alone(tiny, MEASURING), alone(tiny, REUSING), alone(tiny, MEASURING)]
    before = tiny.insides()
    latents, traces = in_turns(tiny, [MEASURING, REUSING, MEASURING])
    for found, trace, (latents_alone, traces_alone) in zip(latents, traces, expected, strict=True):
        assert torch.equal(found, latents_alone)
        assert decisions(trace) == decisions(traces_alone)
    assert any("reuse" in trace.schedule for trace in traces[1])
    assert tiny.insides() == before


@pytest.mark.parametrize("offload", [model_offload, sequential_offload])
def test_each_run_is_what_it_is_alone_where_weights_are_offloaded(offload):
    tiny = zoo_wan.wan22_t2v()
    expected = [alone(tiny, config)[0] for config in (MEASURING, REUSING)]
    offload(tiny.pipe)
    order: list[int] = []
    latents, _ = in_turns(tiny, [MEASURING, REUSING], order)
    assert all(map(torch.equal, latents, expected))
    assert torch.equal(tiny.run(), expected[0])  # the pipeline itself still works


def test_the_next_step_is_the_one_whose_clock_shows_less_and_both_start_together():
    order: list[int] = []
    in_turns(zoo_wan.wan21_t2v(), [MEASURING, REUSING], order)  # every step counts as a second
    assert order == [0, 1] * 6


def test_there_is_one_set_of_weights():
    tiny = zoo_wan.wan22_t2v()
    other = sharing(tiny.pipe)
    for name, part in tiny.pipe.components.items():
        if name == "scheduler":
            assert getattr(other, name) is not part
        else:
            assert getattr(other, name) is part
    pointers = {weight.data_ptr() for weight in tiny.pipe.transformer.parameters()}
    assert {weight.data_ptr() for weight in other.transformer.parameters()} == pointers


def test_an_error_in_one_run_ends_all_and_leaves_nothing_behind():
    tiny = zoo_wan.wan21_t2v()
    expected, before = alone(tiny, MEASURING)[0], tiny.insides()
    found, _ = in_turns(tiny, [MEASURING, REUSING], fail_at=2)
    assert [type(each) for each in found] == [RaceEnded, ZeroDivisionError]
    assert tiny.insides() == before
    assert torch.equal(tiny.run(), expected)
