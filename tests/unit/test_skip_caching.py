"""What is chosen and told of Skip-Cache beside others; its page says what the file says."""

import json

from bwcache.bench.skip_caching import PAGE, RESULTS, front, presets, table, with_table
from bwcache.cache.methods import from_dict
from bwcache.cache.methods.skip_cache import SkipCacheConfig
from bwcache.models.catalogue.tinyworld import TINYWORLD_SKIP


def point(share: float, psnr_db: float) -> dict:
    return {"compute_share": share, "psnr_db": psnr_db}


def test_only_what_nothing_beats_is_reported():
    """0.6 is beaten by 0.5; 1.0 reuses nothing."""
    points = [point(0.6, 30), point(0.5, 31), point(1.0, 99), point(0.7, 35), point(0.3, 20)]
    assert front(points) == [point(0.7, 35), point(0.5, 31), point(0.3, 20)]
    many = [point(n / 10, n) for n in range(1, 8)]
    assert [each["psnr_db"] for each in front(many)] == [7, 5, 3, 1]


def test_a_preset_is_the_closest_within_its_share_of_the_work():
    points = [point(0.75, 40), point(0.625, 41), point(0.5, 30), point(0.45, 33), point(0.9, 50)]
    points.append(point(0.4, 20))
    assert presets(points) == {
        "Safe": point(0.625, 41),
        "Balanced": point(0.45, 33),
        "Fast": point(0.4, 20),
    }
    assert presets([point(0.7, 40)]) == {"Safe": point(0.7, 40)}


def test_a_table_is_put_once_and_replaced():
    once = with_table("# Page\n", "<!-- made by bwcache.bench.skip_caching -->\n1")
    assert once.startswith("# Page\n\n<!-- made")
    end = "<!-- end of the table -->"
    page = f"a\n<!-- made by bwcache.bench.skip_caching -->\n1\n{end}\nb\n"
    assert with_table(page, "new") == "a\nnew\nb\n"


def test_the_page_and_the_presets_are_those_of_the_recorded_file():
    recorded = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert table(recorded) in PAGE.read_text(encoding="utf-8")
    assert not set(recorded["prompts_to_choose"]) & set(recorded["prompts_reported"])
    named = {
        name: from_dict(SkipCacheConfig.name, each["config"])
        for name, each in recorded["presets"].items()
    }
    found = TINYWORLD_SKIP.facts(SkipCacheConfig.name).presets
    assert {name: preset.config for name, preset in found.items()} == named
