"""Every model there is an entry for, by name, in the order in which they are offered."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..spec import ModelSpec
from .tinyworld import TINYWORLD
from .wan import WAN

CATALOGUE: Mapping[str, ModelSpec] = MappingProxyType(
    {spec.name: spec for spec in (TINYWORLD, *WAN)}
)
