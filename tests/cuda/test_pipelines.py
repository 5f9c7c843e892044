"""Every tiny pipeline on the device: threshold 0 changes no bit, and what is reused is sound."""

from dataclasses import replace

import pytest
import torch

from bwcache import (
    BWCacheConfig,
    CacheError,
    FirstBlockCacheConfig,
    FlowCacheConfig,
    cached,
)
from bwcache.cache.methods import METHODS
from tests.conftest import build_wan
from tests.cuda.on_device import on, plain_run, same
from tests.methods.calibrations import calibrations  # noqa: F401
from tests.pipelines.combined import FREELY
from tests.pipelines.test_rows import ROWS
from tests.pipelines.tiny import Tiny
from tests.pipelines.zoo_hunyuan import hunyuan_t2v
from tests.pipelines.zoo_skyreels import skyreels_df, skyreels_df_async
from tests.pipelines.zoo_wan import wan21_t2v, wan22_t2v

QUICK = {"wan2.1-t2v", "cogvideox"}  # on a CPU the others are tested elsewhere
FREE = {"threshold": 1e6, "reuse_interval": 2, "max_consecutive": 2}


def marked(names):
    return [pytest.param(n, marks=[pytest.mark.quick] if n in QUICK else []) for n in names]


@pytest.mark.parametrize("name", marked(ROWS))
def test_threshold_zero_changes_no_bit_and_reuse_is_the_same_every_time(name, device):
    tiny = on(ROWS[name](), device)
    plain = plain_run(tiny)
    before = tiny.insides()
    with cached(tiny.pipe, BWCacheConfig(0.0)) as run:
        assert same(tiny.run(), plain)
    assert run.trace.steps_reused == 0
    assert len(run.trace.steps) == run.trace.num_steps
    indicators = [step.indicator for step in run.trace.steps[1:]]
    assert sum(indicator is not None for indicator in indicators) >= len(indicators) - 1
    for reuse in ("residual", "output", "forecast"):
        with cached(tiny.pipe, BWCacheConfig(1e6, 2, reuse=reuse)) as run:
            first, second = tiny.run(), tiny.run()
        assert run.trace.steps_reused >= run.trace.num_steps // 3
        assert same(first, second)
        assert torch.isfinite(first).all()
        assert not same(first, plain)
    assert tiny.insides() == before
    assert same(tiny.run(), plain)


def settings_of(name: str) -> list:
    """A method as it is by default and as freely as it goes."""
    method = METHODS[name]
    if name == "flowcache":
        pytest.skip("of models whose frames have timesteps of their own: see below")
    known = {knob.name for knob in method.knobs()}
    needed = {"calibration": "mine"} if method.needs_calibration else {}
    free = {name: value for name, value in FREE.items() if name in known}
    return [method(**needed), method(**needed, **free)]


def wan_with_long_skips() -> Tiny:
    """Text to video with one skip, from the first of four blocks to the last."""
    words = {"prompt": "a red circle moving right", "max_sequence_length": 24}
    size = {"height": 32, "width": 32, "num_frames": 9, "output_type": "latent"}
    return Tiny(build_wan(layers=4, long_skips=1), {**words, **size, "guidance_scale": 3.0})


def why_refused(method, build) -> str:
    """What a method is refused with on a pipeline; "" where it runs."""
    if method.site == "modules" and build is hunyuan_t2v:
        return "gates attentions and MLPs"
    return "long skips" if method.long_skips and build is not wan_with_long_skips else ""


@pytest.mark.parametrize(
    "build",
    [
        *(pytest.param(each, marks=pytest.mark.quick) for each in (wan21_t2v, wan_with_long_skips)),
        *(wan22_t2v, hunyuan_t2v),
    ],
)
@pytest.mark.usefixtures("calibrations")
@pytest.mark.parametrize("name", METHODS)
def test_every_method(name, build, device):
    tiny = on(build(), device)
    plain = plain_run(tiny)
    before = tiny.insides()
    for method in settings_of(name):
        if why := why_refused(method, build):
            with pytest.raises(CacheError, match=why), cached(tiny.pipe, method):
                pass
            assert tiny.insides() == before
            continue
        with cached(tiny.pipe, method) as run:
            first, second = tiny.run(), tiny.run()
        assert len(run.trace.steps) == run.trace.num_steps
        assert torch.isfinite(first).all()
        assert same(first, second)
        assert tiny.insides() == before
        assert same(tiny.run(), plain)


@pytest.mark.quick
@pytest.mark.parametrize("build", [skyreels_df, skyreels_df_async])
def test_chunks_of_frames(build, device):
    tiny = on(replace(build(), steps=10), device)
    plain, before = plain_run(tiny), tiny.insides()
    with cached(tiny.pipe, FlowCacheConfig(0.0)):
        assert same(tiny.run(), plain)
    with cached(tiny.pipe, FlowCacheConfig(0.15, 1, warm_up_steps=2)) as run:
        first, second = tiny.run(), tiny.run()
    assert "p" in run.trace.letters
    assert torch.isfinite(first).all()
    assert same(first, second)
    assert tiny.insides() == before
    assert same(tiny.run(), plain)


@pytest.mark.quick
@pytest.mark.parametrize("noise", ["cpu", "device"])
def test_the_noise_is_drawn_on_either_device(noise, device):
    tiny = on(wan21_t2v(), device)
    place = "cpu" if noise == "cpu" else device

    def run():
        return tiny.run(generator=torch.Generator(place).manual_seed(3))

    plain = run()
    with cached(tiny.pipe, BWCacheConfig(0.0)):
        assert same(run(), plain)
    with cached(tiny.pipe, FREELY):
        assert same(run(), run())
    assert same(run(), plain)


@pytest.mark.parametrize("build", [wan21_t2v, hunyuan_t2v])
def test_an_exception_in_a_step_leaves_nothing_on_the_device(build, device):
    tiny = on(build(), device)
    plain, before = plain_run(tiny), tiny.insides()

    def stop(record, latents):
        if record.step_index == 3:
            raise InterruptedError

    for config in (BWCacheConfig(1e6), FirstBlockCacheConfig(1e6)):
        with pytest.raises(InterruptedError), cached(tiny.pipe, config, on_step=stop) as run:
            tiny.run()
        assert run.branches == []
        assert tiny.insides() == before
        assert same(tiny.run(), plain)
