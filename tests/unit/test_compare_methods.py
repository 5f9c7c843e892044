"""Methods on one prompt, as events: what is tried, what is told, and what a fault leaves."""

from dataclasses import replace

import pytest

from bwcache.bench.methods_plan import plan_of
from bwcache.cache.methods import METHODS
from bwcache.cache.methods.skip_cache import SkipCacheConfig
from bwcache.cache.predict import predict
from bwcache.errors import CacheError, ConfigError, ModelError
from bwcache.explore.compare_methods import (
    LeftOut,
    MethodsFinished,
    Point,
    PointStarted,
    closest,
    compare_methods,
    in_turns,
)
from bwcache.explore.families import BEST_KNOWN, families, find_families
from bwcache.explore.find_setting import BaselineKnown, BaselineStarted
from bwcache.models import find
from bwcache.runs.baselines import BaselineStore
from bwcache.runs.events import RunFinished
from bwcache.runs.request import Request
from bwcache.testing import FakeBackend

PROMPT = "a red circle moving right on a white background"
ASKED = Request(PROMPT, steps=12)


def made(names, backend=None, **more) -> list:
    backend = backend or FakeBackend()
    return list(compare_methods(ASKED, find_families(names), backend, **more))


def of(kind, events) -> list:
    return [event for event in events if isinstance(event, kind)]


def test_every_family_has_values_to_try_that_can_be_made():
    for family in families(0.05).values():
        values = family.few(30)
        assert 1 <= len(values) <= 3, family.name
        assert len(set(values)) == len(values)
        if family.method is not None:
            assert all(family.config(value) is not None for value in values)
    assert set(BEST_KNOWN) <= set(families())
    named = {name.partition("/")[0] for name in families()}
    assert set(METHODS) <= named


def test_values_by_hand():
    """Periods of 1 do nothing; a threshold is halved and doubled; shares are as compared at."""
    every = families(0.05)
    assert every["fora/stack"].few(30) == [4, 3, 5]
    assert every["first_block_cache"].few(30) == [0.05, 0.025, 0.1]
    assert every["bwcache_plus/budget"].few(30) == [0.4, 0.5, 0.33]
    assert every["uncached/fewer"].few(30) == [12, 15, 10]
    assert every["uncached/fewer"].few(30, 1) == [12]


def test_each_family_has_its_turn():
    one, two = find_families(["fora/stack", "taylorseer/stack"])
    assert in_turns([(one, [1, 2]), (two, [3])]) == [(one, 1), (two, 3), (one, 2)]


def test_events_in_their_order_and_one_uncached_run():
    backend = FakeBackend()
    events = made(["bwcache/forecast", "uncached/shift"], backend, values=2)
    kinds = [type(event) for event in events]
    assert kinds[0] is BaselineStarted
    (started,) = of(BaselineKnown, events)
    points = of(Point, events)
    assert started.most == len(points) == len(of(PointStarted, events)) == 4
    assert [point.number for point in points] == [1, 2, 3, 4]
    assert kinds[-1] is MethodsFinished
    assert events[-1].points == tuple(points)
    assert not started.remembered
    assert sum(request.sequential for request in backend.requests) == 1
    assert all(point.speedup <= 1 / point.compute_share + 1e-9 for point in points)
    for point in points:
        assert point.compute_share < 1
        assert (point.ssim is None) == (point.family.control is not None)
        assert point.filmstrip[8:12] == b"WEBP"


def test_a_remembered_uncached_run_is_not_made_again():
    store = BaselineStore()
    made(["fora/stack"], store=store, values=1)
    events = made(["fora/stack"], store=store, values=1)
    assert not of(BaselineStarted, events)
    assert of(BaselineKnown, events)[0].remembered


@pytest.mark.parametrize("kind", [CacheError, ConfigError])
def test_a_method_that_cannot_run_is_left_out_once_and_the_others_go_on(kind):
    fault = {CacheError: CacheError("not here", "x"), ConfigError: ConfigError("a", 1, "not here")}
    inner = FakeBackend()

    def compare(request, store, device):
        if request.config.name == "fora":
            raise fault[kind]
        yield from inner(request, store, device)

    events = made(["fora/stack", "taylorseer/stack"], compare, values=2)
    (left,) = of(LeftOut, events)
    assert left.family.name == "fora/stack"
    assert "not here" in left.why
    assert {point.family.name for point in of(Point, events)} == {"taylorseer/stack"}
    assert events[-1].left_out == (left,)


def test_what_is_wrong_with_the_model_ends_it():
    def compare(request, store, device):
        raise ModelError("model: broken")
        yield

    with pytest.raises(ModelError, match="broken"):
        made(["fora/stack"], compare)
    with pytest.raises(ConfigError, match="one method at least"):
        list(compare_methods(ASKED, [], FakeBackend()))


def test_closing_it_ends_the_run_under_way():
    backend = FakeBackend()
    events = compare_methods(ASKED, find_families(["fora/stack"]), backend)
    for event in events:
        if isinstance(event, PointStarted):
            break
    next(events)
    events.close()
    assert backend.closed == 2  # the uncached run's comparison ends early in any case


def test_who_is_closest_by_hand():
    ours, other = find_families(["bwcache_plus/budget", "fora/stack"])

    def point(family, speedup, psnr_db):
        return Point(1, family, None, speedup, 0.5, psnr_db, None, None)

    points = [point(ours, 2.1, 40.0), point(ours, 1.4, 60.0), point(other, 2.0, 41.0)]
    points.append(point(other, 2.6, 30.0))
    assert [p.psnr_db for p in closest(points, 2.0)] == [41.0, 40.0]
    assert [p.psnr_db for p in closest(points, 1.2)] == [60.0, 41.0]
    same = replace(points[1], psnr_db=None)
    assert closest([*points, same], 1.2)[0] is same
    assert closest(points, 3.0) == []


def test_what_needs_long_skips_is_left_out_with_a_reason_that_names_the_model_that_has_them():
    events = made(["skip_cache/1-block", "fora/stack"], values=1)
    (out,) = of(LeftOut, events)
    assert out.family.name == "skip_cache/1-block"
    assert out.why.endswith("this model has none, tinyworld-skip has")
    assert [each.family.name for each in of(Point, events)] == ["fora/stack"]


def test_all_families_are_those_that_the_model_has_long_skips_for(monkeypatch):
    def with_skips(model) -> list[str]:
        found = find_families(None, model=model)
        return [each.name for each in found if each.method is SkipCacheConfig]

    own = {"some": replace(find("tinyworld"), long_skips=2), "none": find("tinyworld")}
    monkeypatch.setattr("bwcache.explore.families.CATALOGUE", own)
    assert with_skips("none") == []
    assert with_skips("some") == ["skip_cache/1-block", "skip_cache/2-blocks"]
    assert len(with_skips("elsewhere")) == 3
    found = families()["skip_cache/2-blocks"]
    assert found.config(4) == SkipCacheConfig(4, 2)
    assert found.few(30) == [4, 3, 5]


def test_every_method_can_be_foretold_on_the_embedded_model():
    """None is left out for want of a calibration, on the page or in `bench methods`."""
    baseline = next(e for e in FakeBackend()(ASKED) if isinstance(e, RunFinished))
    seen = set()
    for family in plan_of(model="tinyworld").families:
        for value in family.few(12) if family.method is not None else ():
            config = family.config(value)
            if config.forecast == "exact":
                assert 0 < predict(baseline.trace, config).compute_share <= 1
                seen.add(config.name)
    assert {"magcache", "smoothcache", "lemica", "block_caching", "bac"} <= seen
