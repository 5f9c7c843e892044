"""FlowCache-style's decisions and the tensors behind them, against arithmetic done by hand."""

from types import SimpleNamespace

import pytest
import torch

from bwcache import ConfigError, FlowCacheConfig
from bwcache.cache.ask import ask, start
from bwcache.cache.chunks import Chunks
from bwcache.cache.method import CHUNK_CHANGE, CHUNK_MOVES, WHOLE, RunFacts
from bwcache.cli import main
from bwcache.ui import form
from bwcache.ui.phrases import refused
from tests.ui.given import given

INF, NAN = float("inf"), float("nan")


def decided(config, changes, moves=None) -> list[str]:
    """Of each step the chunks' letters, "C" for computed and "r" for reused.

    Args:
        config: The method.
        changes: For each step from the second on, each chunk's change.
        moves: Likewise how many steps of its own it has begun; all of them where None.
    """
    count = len(changes[0])
    asked = start(config, RunFacts(len(changes) + 1, 2))
    found = []
    for step in range(len(changes) + 1):
        plan, asked = ask(asked, step, None, {})
        numbers = {}
        if step:
            numbers[CHUNK_CHANGE] = changes[step - 1]
            numbers[CHUNK_MOVES] = (float(step),) * count if moves is None else moves[step - 1]
        if plan.until == 0:
            plan, asked = ask(asked, step, 0, numbers)
        reused = range(count) if WHOLE in plan.reused else plan.chunks
        found.append("".join("r" if i in reused else "C" for i in range(count)))
    return found


def test_each_chunk_adds_up_its_own_change():
    """Below 0.25: the first chunk's 0.1 serves two steps, the second's 0.2 one, 0.3 none."""
    changes = [(0.1, 0.2, 0.3)] * 6
    assert decided(FlowCacheConfig(0.25, warm_up_steps=0), changes) == [
        *("CCC", "rrC", "rCC", "CrC", "rCC", "rrC", "CCC")
    ]


def test_all_chunks_reused_are_a_reused_step_and_threshold_0_reuses_none():
    assert decided(FlowCacheConfig(0.5, warm_up_steps=0), [(0.1, 0.1)] * 4)[1:] == ["rr"] * 4
    still = [(0.0, 0.0)] * 4
    assert decided(FlowCacheConfig(0.0, warm_up_steps=0), still) == ["CC"] * 5


def test_the_run_and_each_chunk_have_a_warm_up():
    """The second chunk begins at step 2, and its first two steps are computed."""
    changes = [(0.01, 0.0), (0.01, 0.0), *[(0.01, 0.01)] * 4]
    moves = [(1, 0), (2, 0), (3, 1), (4, 2), (5, 3), (6, 4)]
    config = FlowCacheConfig(1.0, warm_up_steps=2)
    assert decided(config, changes, moves) == ["CC", "CC", "rC", "rC", "rr", "rr", "rr"]


def test_a_chunk_that_has_not_begun_is_reused_until_the_one_before_it_has_moved():
    changes = [(0.5, 0.0, 0.0), (0.5, 0.0, 0.0), (0.5, 0.5, 0.0), (0.5, 0.5, 0.0)]
    moves = [(1, 0, 0), (2, 0, 0), (3, 1, 0), (4, 2, 0)]
    config = FlowCacheConfig(0.3, warm_up_steps=0)
    assert decided(config, changes, moves) == ["CCC", "CCr", "CCr", "CCC", "CCC"]


def test_a_chunk_that_has_come_to_rest_is_computed_once_more():
    """Frames that are done change no more; what others see of them is of their last state."""
    changes = [(0.1, 0.1), (0.1, 0.1), (0.0, 0.1), (0.0, 0.1), (0.0, 0.1)]
    config = FlowCacheConfig(9.0, warm_up_steps=0)
    assert decided(config, changes) == ["CC", "rr", "rr", "Cr", "rr", "rr"]


def test_numbers_that_are_not_finite_and_forced_steps_start_afresh():
    changes = [(0.1, 0.1), (0.1, NAN), (0.1, 0.1), (0.1, INF), (0.1, 0.1)]
    config = FlowCacheConfig(0.25, warm_up_steps=0)
    assert decided(config, changes) == ["CC", "rr", "CC", "rr", "CC", "rr"]
    masked = config.having(step_mask="???C")
    assert decided(masked, [(0.1, 0.1)] * 5) == ["CC", "rr", "rr", "CC", "rr", "rr"]
    short = config.having(max_consecutive=1)
    assert decided(short, [(0.01, 0.01)] * 4) == ["CC", "rr", "CC", "rr", "CC"]


def test_changes_and_moves_of_a_toy_sequence():
    """Three frames of two tokens of width 2, in chunks of two frames and of one.

    All tokens are 1; then the first frame's grow by 0.5 and the last one's by 1: of the first
    chunk's eight numbers four have changed by a half, a quarter of their sum; of the last one's
    all by their own size.
    """
    chunks, model = Chunks(2, 1), SimpleNamespace()
    tokens, times = torch.ones(1, 6, 2), torch.tensor([[999, 999, 999]])
    assert chunks.begin((tokens,), times, model, True) == {}
    assert chunks.count == 2
    grown = tokens.clone()
    grown[:, :2] += 0.5
    grown[:, 4:] += 1.0
    found = chunks.begin((grown,), torch.tensor([[900, 999, 800]]), model, True)
    assert found == {CHUNK_CHANGE: (0.25, 1.0), CHUNK_MOVES: (0.0, 1.0)}
    assert chunks.begin((grown,), times, model, False) == {}  # another branch looks at nothing
    found = chunks.begin((grown,), torch.tensor([[800, 900, 800]]), model, True)
    assert found == {CHUNK_CHANGE: (0.0, 0.0), CHUNK_MOVES: (1.0, 1.0)}


def test_the_least_similar_video_of_a_batch_decides():
    chunks = Chunks(1, 1)
    tokens, times = torch.ones(2, 2, 3), torch.tensor([[9, 9], [9, 9]])
    chunks.begin((tokens,), times, None, True)
    grown = tokens * torch.tensor([[1.25, 1.0], [1.5, 1.75]])[..., None]
    assert chunks.begin((grown,), times - 1, None, True)[CHUNK_CHANGE] == (0.5, 0.75)


def test_other_frames_in_a_chunks_place_are_not_compared():
    """A window over a longer video moves on: noisier frames take the places of done ones."""
    chunks, tokens = Chunks(1, 1), torch.ones(1, 2, 3)
    chunks.begin((tokens,), torch.tensor([[0, 500]]), None, True)
    assert chunks.begin((tokens,), torch.tensor([[500, 999]]), None, True) == {}
    assert chunks.begin((tokens,), torch.tensor([[400, 900]]), None, True)[CHUNK_MOVES] == (1, 1)


def test_frames_that_are_given_count_as_under_way_and_999_as_the_first_timestep():
    chunks, tokens = Chunks(1, 1), torch.ones(1, 3, 3)
    for times in ([20, 1000, 999], [20, 980, 1000], [20, 960, 980]):
        found = chunks.begin((tokens,), torch.tensor([times]), None, True)
    assert found[CHUNK_MOVES] == (2, 2, 1)


def test_causal_blocks_of_frames_are_the_chunks():
    chunks = Chunks(5, 1)
    causal = SimpleNamespace(config=SimpleNamespace(num_frame_per_block=2))
    chunks.begin((torch.ones(1, 6, 3),), torch.ones(1, 6), causal, True)
    assert chunks.count == 3
    chunks.begin((torch.ones(1, 6, 3),), torch.ones(1, 6), SimpleNamespace(), True)
    assert chunks.count == 2  # of five frames and of one


@pytest.mark.parametrize(
    "line", [["compare", "--method", "flowcache"], ["sweep", "--methods", "fora,flowcache"]]
)
def test_on_the_command_line_too_and_nothing_is_written(line, tmp_path, capsys):
    words = "a red circle moving right on a white background"
    assert main([*line, "--prompt", words, "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("bwcache: method: got 'flowcache'; allowed is")
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "Method: flowcache is not possible here."), ("de", "Methode: flowcache geht hier")],
)
def test_on_the_page_in_the_visitors_language(language, said):
    with pytest.raises(ConfigError) as caught:
        form.read(given(method="flowcache"))
    assert refused(caught.value, language).startswith(said)
    assert form.read(given(method="fora")).config.name == "fora"
