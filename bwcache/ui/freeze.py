"""The recorded runs as a static folder: charts, what-if, views and tour, without a server.

`index.html` works from a disk, a plain file server or a static Space. Browsers load no module and
fetch no JSON from a disk, so that the page's own modules are put into one plain script here, and
each run's `run.json` into another; videos stay files.
"""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path

from ..errors import ConfigError
from ..files import check_folder, parse_json, read_text, replacing, write_text
from ..runs.recorded import RUN_FILE, listing
from . import gallery
from .languages import LANGUAGES, TITLE, say
from .panel import PLOTLY, STATIC, panel_texts, styles, template
from .theme import theme

ENTRY = "panel/panel.js"
INDEX, SCRIPT, DATA, LIBRARY = "index.html", "script.js", "runs.js", "plotly.min.js"
IMPORT = re.compile(r'^import\s*\{([^}]*)\}\s*from\s*"([^"]+)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export\s+((?:async\s+)?function\*?|const|class)\s+(\w+)", re.MULTILINE)
LEFT = re.compile(r"^(?:import|export)\b.*$", re.MULTILINE)
README = """# {title}: recorded runs

Open index.html in a browser, or serve this folder with any file server: nothing is computed, and no
other host is asked. Made with `python -m bwcache freeze`.
"""
# What a live page alone can do is hidden.
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{theme}</style>
{styles}
<style>
body {{ margin: 0; background: var(--body-background-fill); color: var(--body-text-color);
  font-family: system-ui, sans-serif; }}
.bw-frozen {{ display: grid; gap: 14px; max-width: 1600px; margin: 0 auto; padding: 24px 2.5%; }}
.bw button, .bw input, .bw select {{ font: inherit; }}
.bw :is(.bw-whatif-use, .bw-differs) {{ display: none !important; }}
</style>
</head>
<body>
<main class="bw-frozen">
<header class="bw-header"><h1>{title}</h1>{taglines}</header>
<div id="bw-panel">{panel}</div>
</main>
<script>
document.documentElement.lang = navigator.language || "en";
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.body.classList.toggle("dark", dark.matches);
dark.addEventListener("change", follow);
follow();
</script>
<script src="{data}"></script>
<script src="{script}"></script>
<script>
bwcachePage.start({{
  element: document.getElementById("bw-panel"),
  props: {{ ...bwcacheData, value: [], plotly: "{library}" }},
  watch() {{}},
  trigger() {{}},
}});
</script>
</body>
</html>
"""


def freeze(folder: Path, runs: Path) -> int:
    """Write the folder; it takes the place of a former one whole, or not at all.

    Args:
        folder: New or empty, or a frozen page.
        runs: The folder of the recorded runs' folders.

    Returns:
        How many runs it holds.

    Raises:
        ConfigError: The folder holds something else or cannot be written to, or there is no run,
            or one is broken.
    """
    check_target(folder)
    entries, data = [], []
    for slug, run in listing(runs):
        if isinstance(run, Exception):
            raise ConfigError("runs", slug, f"recorded runs that can be shown ({run})")
        entries.append(slug)
    if not entries:
        raise ConfigError("runs", str(runs), "a folder of recorded runs")
    with replacing(folder) as staging:
        for entry in gallery.index(runs):
            slug = str(entry["slug"])
            shutil.copytree(runs / slug, staging / "runs" / slug)
            place = f"runs/{slug}/"
            thumbnail = place + str(entry["thumbnail"]).rpartition("/")[2]
            content = parse_json(read_text(runs / slug / RUN_FILE))
            data.append({**entry, "folder": place, "thumbnail": thumbnail, "content": content})
        known = {"runs": data, "texts": panel_texts()}
        write_text(staging / DATA, f"const bwcacheData = {_script(known)};\n")
        script = f"const bwcachePage = {bundle(STATIC / ENTRY)};\n"
        write_text(staging / SCRIPT, script)
        shutil.copyfile(PLOTLY, staging / LIBRARY)
        write_text(staging / INDEX, _page())
        write_text(staging / "README.md", README.format(title=TITLE))
    return len(entries)


def check_target(folder: Path) -> None:
    """Refuse a folder that a frozen page cannot take the place of.

    Raises:
        ConfigError: It cannot be written to, or holds something else.
    """
    check_folder(folder)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / DATA).is_file():
        raise ConfigError("out", str(folder), "a new or empty folder, or a frozen page")


def _page() -> str:
    taglines = "".join(
        f"<p lang='{language}' class='bw-in-{language}'>"
        f"{html.escape(say(language)('page.frozen'))}</p>"
        for language in LANGUAGES
    )
    return PAGE.format(
        title=html.escape(TITLE),
        theme=theme()._get_theme_css(),
        styles=styles(),
        taglines=taglines,
        panel=template(),
        data=DATA,
        script=SCRIPT,
        library=LIBRARY,
    )


def _script(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def bundle(entry: Path) -> str:
    """A module and all that it imports as one JavaScript expression: an object of its exports.

    Args:
        entry: A module whose imports and exports name what they mean: no defaults, no stars.

    Raises:
        ValueError: One is written in another way.
    """
    order: list[Path] = []
    _collect(entry.resolve(), order)
    names = {path: f"module{number}" for number, path in enumerate(order)}
    parts = [f"const {names[path]} = {_as_function(path, names)};" for path in order]
    return "(() => {\n" + "\n".join(parts) + f"\nreturn {names[entry.resolve()]};\n}})()"


def _collect(path: Path, order: list[Path]) -> None:
    """What a module imports, before itself."""
    for _, address in IMPORT.findall(path.read_text(encoding="utf-8")):
        imported = (path.parent / address).resolve()
        if imported not in order:
            _collect(imported, order)
    order.append(path)


def _as_function(path: Path, names: dict[Path, str]) -> str:
    def imported(found: re.Match) -> str:
        wanted = re.sub(r"\s+as\s+", ": ", found[1])
        return f"const {{{wanted}}} = {names[(path.parent / found[2]).resolve()]};\n"

    text = IMPORT.sub(imported, path.read_text(encoding="utf-8"))
    exports = [name for _, name in EXPORT.findall(text)]
    text = EXPORT.sub(r"\1 \2", text)
    if left := LEFT.search(text):
        raise ValueError(f"{path.name}: cannot be put into one script: {left[0]}")
    return f"(() => {{\n{text}\nreturn {{ {', '.join(exports)} }};\n}})()"
