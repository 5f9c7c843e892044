"""Every message of the library names a paragraph of `docs/troubleshooting.md` that is there."""

import ast
import pickle
import re
from pathlib import Path

from bwcache.cache.trace import WARNINGS
from bwcache.errors import TROUBLESHOOTING, CacheError

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / TROUBLESHOOTING).read_text(encoding="utf-8")
PARAGRAPHS = re.findall(r"^## (.+)$", TEXT, re.MULTILINE)


def raised() -> dict[str, str]:
    """Where each `CacheError` is made, and the paragraph that it names."""
    found = {}
    for path in (ROOT / "bwcache").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "CacheError":
                found[f"{path.name}:{node.lineno}"] = ast.literal_eval(node.args[1])
    return found


def test_every_error_names_a_paragraph():
    places = raised()
    assert len(places) > 15
    assert {place for place, about in places.items() if about not in PARAGRAPHS} == set()


def test_every_warning_names_one():
    for text in WARNINGS.values():
        (about,) = re.findall(rf"{TROUBLESHOOTING}#([\w-]+)", text)
        assert about in PARAGRAPHS


def test_each_paragraph_says_what_one_sees_first():
    parts = re.split(r"^## .+$", TEXT, flags=re.MULTILINE)[1:]
    assert all(part.strip().startswith("*") for part in parts)
    assert len(set(PARAGRAPHS)) == len(PARAGRAPHS)


def test_an_error_is_one_line_with_its_address():
    error = CacheError("pipe: no", "two-caches")
    assert str(error) == "pipe: no (see docs/troubleshooting.md#two-caches)"
    assert error.about == "two-caches"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
