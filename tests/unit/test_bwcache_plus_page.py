"""What BWCache+'s page says was measured is what the files say."""

import json
import re
from collections import Counter
from pathlib import Path
from statistics import median

import pytest
from diffusers import UniPCMultistepScheduler

from bwcache.bench.methods_plan import Grid
from bwcache.bench.methods_text import leads
from bwcache.cache.methods.bwcache_plus import computed_steps
from bwcache.cache.noise_levels import noise_levels
from bwcache.files import ASSETS
from bwcache.runs.controls import with_shift

PAGE = Path(__file__).parents[2] / "docs" / "methods" / "bwcache_plus.md"
ROWS = [
    json.loads(line)
    for line in (ASSETS / "results" / "methods-rows.jsonl").read_text("utf-8").splitlines()
]
SAID = re.sub(r"\s+", " ", PAGE.read_text(encoding="utf-8"))


def result(name):
    return json.loads((ASSETS / "results" / f"{name}.json").read_text(encoding="utf-8"))


def between(numbers, sign=""):
    low, high = f"{min(numbers):{sign}.1f}", f"{max(numbers):{sign}.1f}"
    return f"{low} to {high}".replace("-", "−")


def noise_of(grid):
    scheduler = UniPCMultistepScheduler.from_pretrained(ASSETS / "tinyworld" / "scheduler")
    if grid.shift is not None:
        scheduler = with_shift(scheduler, grid.shift)
    scheduler.set_timesteps(grid.steps)
    return noise_levels(scheduler, grid.steps)


@pytest.fixture(scope="module")
def standings():
    return result("leaderboard")["standings"]


def ahead(standings, shift, which, caches_only=False):
    return [
        leads(
            [
                one
                for one in each["families"]
                if not (caches_only and one["family"].startswith("uncached/"))
            ]
        )[which]
        for each in standings
        if each["shift"] == shift
    ]


def test_how_far_it_is_ahead(standings):
    own, large = ([ahead(standings, shift, of) for of in range(3)] for shift in (None, 5.0))
    assert len(own[0]) == len(large[0]) == 9
    assert f"by {between(own[0])} dB on the model's own grid and by {between(large[0])} at" in SAID
    assert f"worst prompts of each by {between(own[1])} and {between(large[1])}" in SAID
    assert f"by {between(own[2], '+')} dB on the own grid, {between(large[2], '+')} at" in SAID
    behind = sum(lead < 0 for lead in own[2] + large[2])
    assert behind == 8
    assert "behind in eight of the 18" in SAID
    among = [x for shift in (None, 5.0) for x in ahead(standings, shift, 2, caches_only=True)]
    lost = sorted(-lead for lead in among if lead < 0)
    assert f"behind in two, by {' and '.join(f'{each:.1f}' for each in lost)} dB" in SAID


def test_every_other_method_ran_on_every_prompt():
    assert "All other methods were run on all 24 prompts with each of these six grids" in SAID
    prompts = {}
    for row in result("leaderboard")["rows"]:
        if not row["ours"] and row["family"] != "uncached":
            prompts.setdefault((row["steps"], row["shift"]), {})[row["family"]] = row["prompts"]
    families = [set(each) for each in prompts.values()]
    assert len(prompts) == 6
    assert all(each == families[0] for each in families)
    assert {count for each in prompts.values() for count in each.values()} == {24}


def test_how_far_the_best_choice_of_steps_is():
    """The search began at the rule as it is, and found what the page says."""
    found = result("oracle")
    assert len(found["prompts"]) == 8
    assert len(found["searches"]) == 6

    def closer(of, name):
        return [each[of][name] - each["rule"][name] for each in found["searches"]]

    for each in found["searches"]:
        grid = Grid(each["steps"], each["shift"])
        assert computed_steps(noise_of(grid), each["count"]) == tuple(each["rule"]["steps"])
    mean = closer("shared", "psnr_db")
    assert f"{between(mean)} dB closer in the mean than the rule's" in SAID
    assert f"{sorted(mean)[-2]:.1f} at most in five of the six" in SAID
    assert f"{between(closer('shared', 'psnr_db_worst'))} on the worst one" in SAID
    alone = between(closer("of_each_prompt", "psnr_db"))
    assert f"for each prompt alone is {alone} dB closer" in SAID


def test_its_worst_prompts_and_how_they_answer_to_a_little_noise():
    worst = Counter()
    for each in result("leaderboard")["standings"]:
        grid = (each["steps"], each["shift"])
        at = {
            row["prompt"]: row["psnr_db"]
            for row in ROWS
            if (row["family"], row["set"]) == ("bwcache_plus/budget", "report")
            and (row["steps"], row["shift"]) == grid
            and row["value"] == each["share"]
        }
        worst[min(at, key=at.__getitem__)] += 1
    (thread, _), (other, _) = worst.most_common(2)
    assert f"In {worst[thread] + worst[other]} of the 18" in SAID
    found = result("sensitivity")
    assert (found["change"], found["draws"]) == (0.01, 3)
    own = next(grid for grid in found["grids"] if grid["shift"] is None)
    of = dict(zip(found["prompts"], own["psnr_db_of_each"], strict=True))
    assert min(of, key=of.__getitem__) == thread
    assert f"{thread[1:]}” hangs by a thread" in SAID
    assert f"to {of[thread]:.1f} dB from itself, farthest of the 24, whose median is" in SAID
    assert f"median is {median(of.values()):.1f}" in SAID
    assert f"{other[1:]}” does not ({of[other]:.1f})" in SAID
