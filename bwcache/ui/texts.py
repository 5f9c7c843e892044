"""Texts in several languages, read from JSON catalogues. Standard library only.

A catalogue is a folder with a file for each language: `decimal_sign`, and groups of texts by key.
`{name}` in a text stands for a value, with a format as in `str.format`: `{seconds:.1f}`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from string import Formatter

from ..runs.verdict import Say

ENGLISH = "en"


class Catalogue:
    """The texts of a part of the project.

    Args:
        folder: Holds `en.json` and others, each named by its language.
    """

    def __init__(self, folder: Path):
        self._texts = {
            path.stem: json.loads(path.read_text(encoding="utf-8"))
            for path in sorted(folder.glob("*.json"))
        }

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes such as "de"; English leads."""
        return tuple(sorted(self._texts, key=lambda language: language != ENGLISH))

    def decimal_sign(self, language: str) -> str:
        """What a language writes between a number's whole part and the rest."""
        return self._texts[language]["decimal_sign"]

    def group(self, language: str, name: str) -> Mapping[str, str]:
        """The texts of a group by key, as they stand in the file."""
        return self._texts[language][name]

    def text(self, language: str, key: str, **values: object) -> str:
        """A text with its values in place, numbers as the language writes them.

        Args:
            language: One of `languages`.
            key: Group and key, such as "advice.range".
            values: What the text's placeholders stand for.

        Raises:
            KeyError: There is no such text, or a value is missing.
        """
        group, _, name = key.partition(".")
        template = self.group(language, group)[name]
        return _Numbers(self._texts[language]["decimal_sign"]).format(template, **values)

    def say(self, language: str) -> Say:
        """`text` in one language: `say("advice.range", low=0.1, high=0.2)`."""
        return partial(self.text, language)


class _Numbers(Formatter):
    def __init__(self, decimal_sign: str):
        self._decimal_sign = decimal_sign

    def format_field(self, value: object, format_spec: str) -> str:
        text = super().format_field(value, format_spec)
        return text.replace(".", self._decimal_sign) if isinstance(value, int | float) else text
