"""A sweep as one HTML file that asks no other host for anything: its table, its chart, what failed.

Plotly's JavaScript is put into it, from the Python package's own data; without that package the
report has everything but the chart.
"""

from __future__ import annotations

import html
import importlib.util
import json
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ...files import write_text
from .tally import Gathered, Tally

NO_CHART = 'The chart needs Plotly, which is not installed here: pip install "bwcache[page]".'
# Okabe and Ito's colours, which colour-blind people tell apart
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8a8a00")
MARKS = ("circle", "square", "diamond", "cross", "x", "triangle-up", "star", "hexagon")
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data: blob:;
 style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
body {{ margin: 0 auto; max-width: 1200px; padding: 24px; color: #1b1b1b; background: #fff;
  font: 16px/1.5 system-ui, sans-serif; }}
h1 {{ font-size: 1.6rem; margin: 0 0 8px; }}
h2 {{ font-size: 1.2rem; margin: 32px 0 8px; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: 6px 12px; border-bottom: 1px solid #ccc; text-align: left; }}
th {{ border-bottom: 2px solid #555; }}
#chart {{ height: 560px; }}
.small {{ color: #555; font-size: .875rem; }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{sentence}</p>
<h2>Speed-up against closeness</h2>
{chart}
<h2>By setting</h2>
<div class="wide">{table}</div>
{notes}
<h2>Failed jobs</h2>
{failed}
<p class="small">Every number here is measured. {versions} Written {made}.</p>
</main>
</body>
</html>
"""
CHART = """<div id="chart" role="img" aria-label="Each setting's median speed-up over its median
PSNR, with the quartiles; the table below has the numbers"></div>
<script>{library}</script>
<script>
const figure = {figure};
Plotly.newPlot("chart", figure.data, figure.layout, {{ responsive: true, displaylogo: false }});
</script>"""


def write_report(tally: Tally, path: Path) -> None:
    """Write the report, whole or not at all.

    Raises:
        OSError: The disk is full, or the file cannot be replaced.
    """
    replace_text(path, report(tally))


def replace_text(path: Path, text: str) -> None:
    """Write a text in a file's place, whole or not at all."""
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=path.resolve().parent) as folder:
        staged = Path(folder) / path.name
        write_text(staged, text)
        os.replace(staged, path.resolve())


def report(tally: Tally) -> str:
    """The report's HTML."""
    head, *lines = tally.table()
    failed = "<p>None.</p>"
    if tally.failures:
        names = ("setting", "model", "seed", "prompt", "tries", "error")
        cells = [[str(one[name]) for name in names] for one in tally.failures]
        failed = f'<div class="wide">{_table(names, cells)}</div>'
    title = f"Sweep: {_count(tally.videos, 'video')}, {_count(len(tally.settings), 'setting')}"
    return PAGE.format(
        title=title,
        sentence=html.escape(tally.sentence),
        chart=_chart(tally),
        table=_table(head, lines),
        notes="\n".join(f"<p>{html.escape(note)}</p>" for note in tally.notes()),
        failed=failed,
        versions=html.escape(" / ".join(f"With {each}." for each in tally.versions if each)),
        made=tally.made,
    )


def _count(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    def row(tag: str, cells: Sequence[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "\n".join(row("td", line) for line in lines)
    return f"<table><thead>{row('th', head)}</thead><tbody>\n{body}\n</tbody></table>"


def _chart(tally: Tally) -> str:
    library = plotly_library()
    if library is None:
        return f"<p>{html.escape(NO_CHART)}</p>"
    # a prompt or an error may hold what ends a script
    figure = json.dumps(_figure(tally.settings)).replace("<", "\\u003c")
    return CHART.format(library=library.read_text(encoding="utf-8"), figure=figure)


def plotly_library() -> Path | None:
    """Plotly's JavaScript, of the Python package; None without it."""
    found = importlib.util.find_spec("plotly")
    for folder in (found.submodule_search_locations or []) if found is not None else []:
        path = Path(folder) / "package_data" / "plotly.min.js"
        if path.is_file():
            return path
    return None


def _figure(settings: Sequence[Gathered]) -> dict[str, Any]:
    """A point for each setting, its arms from quartile to quartile; a colour for each method."""
    traces: dict[tuple[str, str], list[Gathered]] = {}
    for each in settings:
        if each.quartiles("psnr_db") and each.quartiles("speedup"):
            traces.setdefault((each.model, each.method), []).append(each)
    several = len({model for model, _ in traces}) > 1
    data = []
    for number, ((model, _), members) in enumerate(traces.items()):
        title = members[0].title
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": f"{title}, {model}" if several else title,
                "text": [each.label for each in members],
                "marker": {
                    "size": 11,
                    "color": COLOURS[number % len(COLOURS)],
                    "symbol": MARKS[number % len(MARKS)],
                },
                "hovertemplate": "%{text}<br>%{x:.1f} dB, %{y:.2f}×<extra></extra>",
                **_arms(members, "psnr_db", "x"),
                **_arms(members, "speedup", "y"),
            }
        )
    axis = {"zeroline": False, "gridcolor": "#e5e5e5", "linecolor": "#888"}
    layout = {
        "xaxis": {**axis, "title": {"text": "PSNR to the uncached video, dB (right is closer)"}},
        "yaxis": {**axis, "title": {"text": "Speed-up, × (up is faster)"}},
        "showlegend": True,
        "legend": {"orientation": "h", "y": 1.12},
        "margin": {"t": 40, "r": 20, "b": 60, "l": 70},
        "plot_bgcolor": "#fff",
    }
    return {"data": data, "layout": layout}


def _arms(members: Sequence[Gathered], name: str, axis: str) -> dict[str, Any]:
    found = [quartiles for each in members if (quartiles := each.quartiles(name))]
    return {
        axis: [middle for _, middle, _ in found],
        f"error_{axis}": {
            "type": "data",
            "symmetric": False,
            "array": [high - middle for _, middle, high in found],
            "arrayminus": [middle - low for low, middle, _ in found],
            "thickness": 1.2,
        },
    }
