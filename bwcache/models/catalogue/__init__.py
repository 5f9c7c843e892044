"""Every model there is an entry for, by name, in the order in which they are offered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from ..spec import ModelSpec
from . import revisions
from .cogvideox import COGVIDEOX
from .hunyuan import HUNYUAN
from .others import OTHERS
from .tinyworld import TINYWORLD
from .wan import WAN

PINNED = revisions.read()

CATALOGUE: Mapping[str, ModelSpec] = MappingProxyType(
    {
        spec.name: replace(spec, revision=PINNED.get(spec.source))
        for spec in (TINYWORLD, *WAN, *OTHERS, *COGVIDEOX, *HUNYUAN)
    }
)
