"""The section on visitors of `docs/scale.md`, written from `assets/results/scale.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..models import find
from .scale import LINE, RECORDED_RUNS, SWEEP_PROMPTS, SWEEP_SETTINGS, WAYS

FILE = "../assets/results/scale.json"
ALL = "comparison"  # what this page makes, with a visitor's uncached run remembered


def visitors(found: Mapping) -> str:
    """The whole section."""
    wait = f"{found['wait_seconds']:g}"
    of = found["measured"]
    runs, think = found["visitor"]["runs"], found["visitor"]["think_seconds"]
    return f"""\
`python app.py --devices cuda:0,cuda:1` gives each device its own replica of a model behind the
one line. What that holds is simulated, visitor by visitor, by `python -m bwcache bench scale`
([results]({FILE}), seed {found["seed"]}, {found["visitors_simulated"]} visitors a row):

- **Measured**: TinyWorld's comparisons on `{of["device"]}` ({of["basis"].partition(", ")[2]}, the
  page's files and network left out), while the machine's load was {of["load_average"]:g}: a quiet
  one is faster.
- **Recorded**: seconds a step of large models with random weights on one H200
  ([gpu-cost.json](../assets/results/gpu-cost.json)), with a fixed pattern that reuses half of the
  steps. A run is taken as its steps alone; text and decoding are not in it.
- **Estimated**: visitors come at random (Poisson), make {runs} runs each on one prompt and think
  for {think:g} s in between, on average. Nobody has counted any.

{_services(found["models"])}

### Visitors a device holds

Visitors an hour at which 19 of 20 runs begin within {wait} s (simulated):

{_held(found["models"])}

Two devices hold more than twice what one holds: they seldom are busy at the same moment. Where a
run takes longer than the wait that is allowed, one device alone has to stand idle most of the
time.

### What it costs, and what caching saves

Device seconds that a visitor takes, {runs} runs (computed from the times above), and that a Space
rents for them when it is sized for a wait of {wait} s, idle ones included (simulated):

{_cost(found["models"])}

A page that shows cached videos only needs a half to three quarters of the seconds of one without a
cache. A comparison makes both runs, so that the first one costs more than a plain page does;
since the uncached run is remembered, a large model's later ones cost about a cached video each,
and three comparisons less than three uncached videos. (TinyWorld's also pay for measuring how
far the videos differ, on the same processor; Wan 2.2's measured runs reuse a quarter of their steps
only.) A remembered run counts on the device that made it, and the line prefers that device for its
visitor.

### Where the line breaks

One device, comparisons; "load" is what comes over what can be served at most. Without a limit on
the line, the wait grows without end from a load of 1; with `BWCACHE_QUEUE_SIZE={LINE}` the wait
is bounded and visitors are sent away instead (simulated; no visitor gives up):

{_breaks(found["models"])}

Beyond the line: Gradio sends every visitor what is new of their own run alone, a page holds 200
results for an hour, and a process has one interpreter, which all devices share: many small models
on many devices need several processes behind a balancer that keeps a visitor with one of them.
`/health` says how long the line is.

### ZeroGPU

There the line hardly matters, since each run is lent a card of its own, eight visitors at once;
the visitor's daily quota does (2 minutes anonymous, 5 free, 40 PRO, a second counting 1.5). A run
must have as much left as it asks for, which is more than it uses. Runs a day, were its card as
fast as that of the table (estimated: nothing of this was measured on ZeroGPU):

{_quota(found["models"])}

`--devices` is refused there in one line: the card is not ours to choose.

### A thousand times the visitors

More replicas are the wrong answer: the devices grow with the visitors, for videos that most of
them ask for alike. Frozen pages ([`freeze`](../bwcache/cli/freeze.py)) on a static host cost no
device second a visitor: the recorded runs, their what-if slider and every prediction are files
and arithmetic in the browser. What stays live is one sweep service that records new prompts and
settings once for everybody. For {RECORDED_RUNS} recorded comparisons and a sweep of
{SWEEP_PROMPTS} prompts × {SWEEP_SETTINGS} settings (computed from the times above):

{_thousand(found["models"])}
"""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _title(each: Mapping) -> str:
    return find(each["model"]).title


def _services(all_models: Sequence[Mapping]) -> str:
    head = ["model", "times", "uncached", "cached", "comparison", "with the uncached remembered"]
    names = ("uncached_seconds", "cached_seconds", "first_seconds", "later_seconds")
    rows = [
        [_title(each), each["basis"], *(f"{each[name]:.1f} s" for name in names)]
        for each in all_models
    ]
    return _table(head, rows)


def _held(all_models: Sequence[Mapping]) -> str:
    rows = []
    for each in all_models:
        for number in dict.fromkeys(row["replicas"] for row in each["held"]):
            held = {row["way"]: row for row in each["held"] if row["replicas"] == number}
            numbers = [f"{held[way]['visitors_an_hour']:.1f}" for way in WAYS]
            rows.append([_title(each), str(number), *numbers, f"{100 * held[ALL]['busy']:.0f} %"])
    return _table(["model", "devices", *WAYS, "busy then"], rows)


def _cost(all_models: Sequence[Mapping]) -> str:
    rows = []
    for each in all_models:
        numbers = sorted({row["replicas"] for row in each["held"]})
        of = {(row["way"], row["replicas"]): row for row in each["held"]}
        few, most = numbers[0], numbers[-1]
        worked = [of[way, few]["worked_seconds_a_visitor"] for way in WAYS]
        rented = [_seconds(of[ALL, number]["rented_seconds_a_visitor"]) for number in (few, most)]
        saved = 1 - worked[1] / worked[0]
        rows.append([_title(each), *(f"{x:.1f}" for x in worked), f"{100 * saved:.0f} %", *rented])
    few, most = _ends(all_models)
    head = [
        "model",
        *WAYS,
        "saved by caching",
        f"rented, {few} replica",
        f"rented, {most} replicas",
    ]
    return _table(head, rows)


def _ends(all_models: Sequence[Mapping]) -> tuple[int, int]:
    numbers = [row["replicas"] for row in all_models[0]["held"]]
    return min(numbers), max(numbers)


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _breaks(all_models: Sequence[Mapping]) -> str:
    rows = []
    for each in all_models:
        for row in each["breaks"]:
            cells = (row["mean_wait"], row["p95_wait"], row["longest_line"])
            rows.append(
                [
                    _title(each),
                    f"{row['load']:g}",
                    *(f"{cell:.0f}" for cell in cells),
                    f"{row['limited_p95_wait']:.0f}",
                    f"{100 * row['refused']:.1f} %",
                ]
            )
    head = ["model", "load", "mean wait, s", "95 % within, s", "longest line"]
    return _table([*head, "95 % with the limit, s", "sent away then"], rows)


def _quota(all_models: Sequence[Mapping]) -> str:
    rows = [
        [_title(each), row["visitor"], *(str(row[way]) for way in WAYS)]
        for each in all_models
        for row in each["zerogpu"]
    ]
    return _table(["model", "visitor", *WAYS], rows)


def _thousand(all_models: Sequence[Mapping]) -> str:
    rows = []
    for each in all_models:
        found = each["thousand"]
        once = found["frozen_seconds_once"] + found["sweep_seconds_once"]
        rows.append(
            [
                _title(each),
                f"{found['visitors_an_hour']:.0f}",
                f"{found['live_devices']}",
                f"{found['live_seconds_a_visitor']:.1f}",
                f"{once:.0f}",
                f"{found['frozen_seconds_a_visitor_of_a_day']:.4f}",
                f"{found['visitors_of_the_same_live_seconds']}",
            ]
        )
    head = ["model", "visitors an hour", "devices, live", "device seconds a visitor, live"]
    head += ["once, frozen and swept", "a visitor of the first day", "as many live visitors"]
    return _table(head, rows)
