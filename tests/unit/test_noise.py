"""A generator for each thread, where several devices work at once."""

import threading

import pytest
import torch

from bwcache.cache.noise import DRAWS, cpu_state, own_noise, set_cpu_state

DRAW = {
    "randn": lambda: torch.randn(3),
    "rand_like": lambda: torch.rand_like(torch.empty(3)),
    "normal_": lambda: torch.empty(3).normal_(),
    "uniform_": lambda: torch.empty(3).uniform_(),
    "randperm": lambda: torch.randperm(9),
    "dropout": lambda: torch.nn.functional.dropout(torch.ones(99)),
}


def drawn(draw, times: int = 4) -> list[torch.Tensor]:
    return [draw() for _ in range(times)]


@pytest.mark.parametrize("draw", DRAW.values(), ids=DRAW)
def test_it_draws_what_a_seed_gives_and_leaves_pytorchs_own_alone(draw):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        expected = drawn(draw)
    before = torch.get_rng_state()
    with own_noise(7):
        found = drawn(draw)
    assert all(map(torch.equal, found, expected))
    assert torch.equal(torch.get_rng_state(), before)


def test_two_threads_that_draw_in_turns_do_not_cross_over():
    """Each draws only after the other has."""
    turn, found = threading.Barrier(2), {}

    def work(seed: int) -> None:
        with own_noise(seed):
            mine = []
            for _ in range(8):
                turn.wait(60)
                mine.append(torch.randn(5))
            found[seed] = torch.stack(mine)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    for seed in (1, 2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            assert torch.equal(found[seed], torch.stack([torch.randn(5) for _ in range(8)]))


def test_a_generator_that_is_named_is_used():
    with own_noise(0):
        before = cpu_state()
        one = torch.randn(3, generator=torch.Generator().manual_seed(3))
        assert torch.equal(cpu_state(), before)
        torch.randn(1)
        assert not torch.equal(cpu_state(), before)
        set_cpu_state(before)
        first = torch.randn(2)
    assert torch.equal(one, torch.randn(3, generator=torch.Generator().manual_seed(3)))
    with own_noise(0):
        assert torch.equal(first, torch.randn(2))


def test_what_is_intercepted_is_there():
    assert torch.randn in DRAWS
    assert torch.Tensor.normal_ in DRAWS
