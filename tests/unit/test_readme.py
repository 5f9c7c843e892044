"""What the README says is run and compared with the files that it speaks of."""

import json
import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import pytest

from bwcache import models
from bwcache.bench import readme
from bwcache.bench.presets import pick
from bwcache.bench.readme import GPU, RELIABILITY, with_sections
from bwcache.cache.method import RunFacts
from bwcache.cache.methods import METHODS
from bwcache.cache.methods.bwcache import BWCacheConfig, Reuse
from bwcache.cache.methods.bwcache_plus import BWCachePlusConfig
from bwcache.files import ASSETS
from bwcache.runs.ruler import MARKS, Ruler, measured
from tests import reliability, works_with

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
WEIGHTS = ASSETS / "tinyworld" / "transformer" / "diffusion_pytorch_model.safetensors"


def results(name: str) -> dict:
    """A results file that the README names."""
    path = f"assets/results/{name}.json"
    assert path in README
    return json.loads((ROOT / path).read_text(encoding="utf-8"))


SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("snippet", [one for one in SNIPPETS if "gradio_client" not in one])
def test_its_python_runs(snippet, capsys):
    space = {}
    exec(snippet, space)
    assert space["run"].trace.steps_reused > 0
    assert capsys.readouterr().out


def test_its_settings_are_the_defaults():
    defaults = BWCacheConfig()
    for name in ("threshold", "reuse_interval", "tail_fraction", "reuse", "gate"):
        (row,) = re.findall(rf"^\| `{name}` \|.*\|$", README, re.MULTILINE)
        assert str(getattr(defaults, name)) in row.split("|")[-2], name


def test_its_results_are_the_recorded_ones():
    """Each preset's row of the table, from the results file named under it."""
    recorded = results("tinyworld-presets")
    papers = {
        (entry["config"]["threshold"], entry["config"]["reuse_interval"]): entry["psnr_db"]
        for entry in recorded["settings"]
        if entry["config"]["reuse"] == "residual"
    }
    for name, entry in recorded["presets"].items():
        (row,) = re.findall(rf"^\| {name} \|.*\|$", README, re.MULTILINE)
        for value in (
            f"{entry['speedup']:.2f}×",
            f"{entry['psnr_db']:.1f} dB",
            f"{entry['control_psnr_db']:.1f} dB",
            f"{papers[entry['config']['threshold'], entry['config']['reuse_interval']]:.1f} dB",
            f"{entry['steps_computed']:.0f} of {models.find(recorded['model']).steps}",
        ):
            assert value in row, (name, value)
    assert recorded["device"] in README


def test_the_catalogue_quotes_the_recorded_presets():
    spec = models.find("tinyworld")
    (source,) = {preset.source for preset in spec.facts().presets.values()}
    recorded = json.loads((ROOT / source).read_text(encoding="utf-8"))
    for name, preset in spec.facts().presets.items():
        config = recorded["presets"][name]["config"]
        assert preset.config == BWCacheConfig.from_dict(config), name
    low, high = spec.facts().indicator_range
    values = [x for curve in recorded["indicators"] for x in curve if x is not None]
    assert (low, high) == (
        pytest.approx(min(values), abs=1e-3),
        pytest.approx(max(values), abs=1e-3),
    )


def test_the_recorded_presets_are_what_the_rule_picks():
    source = models.find("tinyworld").default_preset.source
    recorded = json.loads((ROOT / source).read_text(encoding="utf-8"))
    ruler = Ruler.from_dict(recorded["ruler"])
    assert pick(recorded["settings"], ruler) == recorded["presets"]


def test_what_a_ruler_says_is_of_the_presets_as_they_are():
    """`bench ruler` makes it. A model without one has presets whose measurement is a file here."""
    for spec in models.CATALOGUE.values():
        found = measured(spec.name)
        having = {name: facts.presets for name, facts in spec.caching.items() if facts.presets}
        if found is None:
            sources = [each.source for presets in having.values() for each in presets.values()]
            assert all((ROOT / source).is_file() for source in sources), spec.name
            continue
        assert set(having) == set(found.methods), spec.name
        assert found.ruler.steps == spec.steps
        assert [mark.name for mark in found.ruler.marks] == list(MARKS)
        for name, presets in having.items():
            answers, method = found.methods[name].answers, METHODS[name]
            configs = {each.name: method.from_dict(each.config) for each in answers}
            assert configs == {key: preset.config for key, preset in presets.items()}
            assert list(configs) == list(presets)
            shares = [each.compute_share for each in answers]
            assert shares == sorted(shares, reverse=True)
            far = [each.psnr_db for each in answers]
            assert far == sorted(far, reverse=True)


STORED = "bwcache/runs/measured/tinyworld.json"
REFRESH = f"python -m bwcache bench ruler --methods bwcache_plus --out {STORED}"


def test_the_answers_of_bwcache_plus_are_of_its_rule_as_it_is():
    """Whoever tunes the rule measures its presets anew, by one command."""
    found = measured("tinyworld").methods["bwcache_plus"]
    for answer in found.answers:
        config = BWCachePlusConfig.from_dict(answer.config)
        state = config.begin(RunFacts(len(found.noise), 1, noise=tuple(found.noise)))
        letters = "".join("C" if i in state.computed else "r" for i in range(len(found.noise)))
        assert answer.schedule == letters, f"{answer.name} is of an earlier rule; {REFRESH}"
    assert REFRESH in CONTRIBUTING
    said = ", ".join(f"{each.psnr_db:.1f} dB at {each.speedup:.1f}×" for each in found.answers)
    assert f"of each: {said} by\nwork done, medians over {found.prompts} prompts" in README, said
    assert f"on `{found.device}`" in README


def test_the_presets_of_bwcache_plus_are_those_of_the_leaderboard():
    rows = json.loads((ROOT / "assets/results/leaderboard.json").read_text("utf-8"))["rows"]
    compared = {row["value"] for row in rows if row["family"] == "bwcache_plus/budget"}
    for preset in models.find("tinyworld").facts("bwcache_plus").presets.values():
        assert preset.source == "assets/results/leaderboard.json"
        assert preset.config.work_share in compared


def test_its_measured_sections_are_written_from_the_results():
    assert with_sections(README) == README
    for path in (GPU, RELIABILITY):
        assert with_sections(path.read_text(encoding="utf-8"), path) == path.read_text("utf-8")


def test_its_reliability_is_that_of_the_full_form():
    found = results("reliability")
    assert found["form"] == "full"
    assert {row["kind"] for row in found["rows"]} == set(reliability.KINDS)
    assert [row["what"] for row in found["rows"] if row["lost"]] == []


def test_how_long_stopped_servers_took_is_told_from_the_results(monkeypatch):
    def report(*properties, **more):
        where = {"nodeid": "tests/faults/test_process.py::test_x", "keywords": {"faults": 1}}
        return SimpleNamespace(**where, outcome="passed", user_properties=properties, **more)

    reports = [
        report((reliability.SECONDS, each), ("tried", ("ends", 1, 0))) for each in (0.2, 2.4)
    ]
    ends = reliability.ends([*reports, report((reliability.SECONDS, 0.31))])
    assert ends == {"signals": 3, "median_seconds": 0.31, "slowest_seconds": 2.4}
    assert reliability.ends([report()]) is None
    rows = reliability.table(reports)
    assert rows == [{"kind": "faults", "what": "ends", "tried": 2, "lost": 0}]
    found = {"form": "full", "date": "2026-01-02", "commit": "abc", "device": "cpu: X, 2 cores"}
    monkeypatch.setattr(readme, "result", lambda _: {**found, "rows": rows, "ends": ends})
    assert "on cpu: X, 2 cores, 2026-01-02, commit abc" in readme.tried()
    assert "sent to 3 servers" in readme.tried()
    assert "slowest end 2.4 s, measured on cpu: X, 2 cores." in readme.tried()


def test_docstrings_quote_the_recorded_numbers():
    """And no other number of dB or %."""
    presets, sampling = results("tinyworld-presets"), results("sampling-tinyworld")
    decibels = presets["mean_psnr_by_reuse"]
    by_tokens = {
        row["indicator_tokens"]: row["grid"]
        for row in sampling["samplings"]
        if row["indicator_blocks"] is None
    }
    tokens = BWCacheConfig().indicator_tokens
    equal = f"{100 * by_tokens[tokens]['steps_equal']:.1f} %"
    text = " ".join(BWCacheConfig.__doc__.split())
    for reuse in decibels:
        assert f'{decibels[reuse]:.2f} dB for "{reuse}"' in text
    decided = f"With {tokens} the decision was the exact one for {equal} of the steps of"
    assert f"{decided} TinyWorld's first" in text
    assert re.findall(r"[\d.]+ (?:dB|%)", text) == [
        *(f"{decibels[reuse]:.2f} dB" for reuse in decibels),
        equal,
    ]
    settings = {json.dumps(row["config"] | {"reuse": ""}) for row in presets["rows"]}
    assert (len(settings), len({row["prompt"] for row in presets["rows"]})) == (9, 8)
    assert "nine settings on eight prompts" in text
    assert by_tokens[256] == by_tokens[128]  # "256 takes the same tokens"


def test_results_say_nothing_that_was_not_measured():
    """On a CPU nothing tells one run's memory from the process's."""
    for path in (ASSETS / "results").glob("*-methods.json"):
        found = json.loads(path.read_text(encoding="utf-8"))
        peaks = {point["peak_memory_bytes"] for point in found["points"]}
        assert peaks == {None} or not found["device"].startswith("cpu"), path.name
        assert "null on a CPU" in found["peak_memory_convention"]


def test_the_catalogue_quotes_where_caching_stops_paying():
    """From the next whole number of computed steps on, it pays."""
    recorded = results("tinyworld-methods")
    spec, stops = models.find("tinyworld"), recorded["where_caching_stops_paying"]
    assert dict(spec.facts().pays_from) == {
        reuse: (math.floor(stops[f"bwcache-{reuse}"]) + 1, recorded["steps"])
        for reuse in get_args(Reuse)
        if stops[f"bwcache-{reuse}"] is not None
    }


def test_what_it_links_to_is_there():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_weights_fit_the_promise():
    size = sum(path.stat().st_size for path in WEIGHTS.parents[1].rglob("*.safetensors"))
    assert 0 < size <= 24e6
    kinds = {path.suffix for path in WEIGHTS.parents[1].rglob("*") if path.is_file()}
    assert kinds <= {".safetensors", ".json", ".md"}


def test_what_it_works_with_is_made_of_tests_that_are_there():
    """`python -m tests.works_with --write` makes it anew."""
    assert works_with.missing() == []
    assert works_with.with_paragraph(README) == README
