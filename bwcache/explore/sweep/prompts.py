"""The prompts of a sweep, from a text file, JSON lines, or the layouts of VBench.

VBench (github.com/Vchitect/VBench) has its prompts as `VBench_full_info.json`, a list of objects
with `prompt_en` and `dimension`; as `prompts_per_dimension/`, a text file a dimension; and as
`all_dimension.txt`, a prompt a line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...errors import ConfigError, first_line
from ...files import parse_json, read_text
from ...runs.request import MAX_SEED, MAX_STEPS

MOST_BYTES = 2**26  # of a file of prompts
TEXTS = ("prompt", "prompt_en")  # what a prompt is called, here and by VBench
FORMS = (
    "a text file with a prompt on each line, JSON lines (.jsonl) of objects with a prompt, "
    "VBench's full-info JSON (.json) or its folder of text files"
)


@dataclass(frozen=True)
class Prompt:
    """One prompt to make videos of.

    Args:
        text: What they show.
        seeds: Of their noise; the sweep's where None.
        steps: Denoising steps; the sweep's where None.
        dimensions: What VBench judges by it; empty where nobody says.
    """

    text: str
    seeds: tuple[int, ...] | None = None
    steps: int | None = None
    dimensions: tuple[str, ...] = ()


def read_prompts(path: Path, dimensions: Iterable[str] | None = None) -> list[Prompt]:
    """The prompts of a file or of VBench's folder, each once, in their order.

    Args:
        path: A folder of text files, each named for its dimension; a `.jsonl` file of objects with
            `prompt`, and if wanted `seed` or `seeds`, `steps` and `dimension`; a `.json` file as
            VBench's; or any other text file with a prompt on each line. Empty lines are passed
            over, and so is what else an object has.
        dimensions: Take only the prompts of these; None takes all.

    Raises:
        ConfigError: It cannot be read, a line or an entry is no prompt, or there is none.
    """
    try:
        found = _merged(_read(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("prompts", str(path), f"{FORMS}; {first_line(error)}") from None
    if dimensions is not None:
        wanted = list(dimensions)
        known = {name for prompt in found for name in prompt.dimensions}
        for name in wanted:
            if name not in known:
                allowed = f"of these prompts' {', '.join(sorted(known)) or 'none, they name none'}"
                raise ConfigError("dimension", name, allowed)
        found = [prompt for prompt in found if set(prompt.dimensions) & set(wanted)]
    if not found:
        raise ConfigError("prompts", str(path), f"{FORMS}; it holds no prompt")
    return found


def _read(path: Path) -> Iterator[Prompt]:
    if path.is_dir():
        for each in sorted(path.glob("*.txt")):
            named = () if each.stem == "all_dimension" else (each.stem,)
            yield from (Prompt(line, dimensions=named) for line in _lines(each))
    elif path.suffix == ".jsonl":
        lines = read_text(path, MOST_BYTES).split("\n")
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield _of_object(_parsed(path, line, f"line {number}"), path, f"line {number}")
    elif path.suffix == ".json":
        entries = _parsed(path, read_text(path, MOST_BYTES), "content")
        if not isinstance(entries, list):
            raise _refused(path, "content is no list of objects")
        for number, entry in enumerate(entries, 1):
            yield _of_object(entry, path, f"entry {number}")
    else:
        yield from map(Prompt, _lines(path))


def _lines(path: Path) -> list[str]:
    lines = read_text(path, MOST_BYTES).splitlines()
    return [line.strip() for line in lines if line.strip()]


def _parsed(path: Path, text: str, where: str) -> Any:
    try:
        return parse_json(text)
    except ValueError as error:
        raise _refused(path, f"{where} is no JSON ({first_line(error)})") from None


def _of_object(entry: Any, path: Path, where: str) -> Prompt:
    if not isinstance(entry, dict):
        raise _refused(path, f"{where} is no object")
    text = next((entry[name] for name in TEXTS if name in entry), None)
    if not isinstance(text, str) or not text.strip():
        raise _refused(path, f"{where} has no text as its prompt")
    seeds = entry.get("seeds", [entry["seed"]] if entry.get("seed") is not None else None)
    if seeds is not None:
        if (
            not isinstance(seeds, list)
            or not seeds
            or not all(_whole(x, 0, MAX_SEED) for x in seeds)
        ):
            raise _refused(path, f"{where} has a seed that is no whole number from 0 to {MAX_SEED}")
        seeds = tuple(dict.fromkeys(seeds))
    steps = entry.get("steps")
    if steps is not None and not _whole(steps, 2, MAX_STEPS):
        raise _refused(path, f"{where} has steps that are no whole number from 2 to {MAX_STEPS}")
    named = entry.get("dimension", [])
    named = [named] if isinstance(named, str) else named
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise _refused(path, f"{where} has a dimension that is neither a text nor a list of texts")
    return Prompt(text.strip(), seeds, steps, tuple(named))


def _merged(prompts: Iterable[Prompt]) -> list[Prompt]:
    """Entries of the same prompt and steps as one: of all their seeds and dimensions."""
    found: dict[tuple[str, int | None], Prompt] = {}
    for prompt in prompts:
        name = prompt.text, prompt.steps
        if (before := found.get(name)) is not None:
            seeds = None
            if before.seeds is not None and prompt.seeds is not None:
                seeds = tuple(dict.fromkeys((*before.seeds, *prompt.seeds)))
            named = tuple(dict.fromkeys((*before.dimensions, *prompt.dimensions)))
            prompt = replace(before, seeds=seeds, dimensions=named)
        found[name] = prompt
    return list(found.values())


def _whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _refused(path: Path, why: str) -> ConfigError:
    return ConfigError("prompts", str(path), f"{FORMS}; its {why}")
