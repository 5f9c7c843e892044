"""Every model there is an entry for, by name, in the order in which they are offered.

A new model is an entry in its family's file; a new family is a file with `ENTRIES`, named here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from ..spec import ModelSpec
from . import (
    allegro,
    cogvideox,
    hunyuan,
    latte,
    ltx,
    mochi,
    revisions,
    skyreels,
    tinyworld,
    wan,
)

FAMILIES = (tinyworld, wan, ltx, mochi, latte, allegro, cogvideox, hunyuan, skyreels)
PINNED = revisions.read()


def pinned(spec: ModelSpec) -> ModelSpec:
    """The entry with the commit that its repository is pinned to."""
    revision = PINNED.get(spec.weights.source)
    return replace(spec, weights=replace(spec.weights, revision=revision))


CATALOGUE: Mapping[str, ModelSpec] = MappingProxyType(
    {spec.name: pinned(spec) for family in FAMILIES for spec in family.ENTRIES}
)
