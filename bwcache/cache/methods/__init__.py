"""The caching methods, by name. A new one is a file here and a line in the registry."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ...errors import ConfigError
from ..method import Method
from .adacache import AdaCacheConfig
from .bac import BACConfig
from .block_caching import BlockCachingConfig
from .bwcache import BWCacheConfig
from .bwcache_plus import BWCachePlusConfig
from .dicache import DiCacheConfig
from .easycache import EasyCacheConfig
from .fastercache import FasterCacheConfig
from .first_block_cache import FirstBlockCacheConfig
from .flowcache import FlowCacheConfig
from .fora import FORAConfig
from .lemica import LeMiCaConfig
from .magcache import MagCacheConfig
from .mixcache import MixCacheConfig
from .pab import PABConfig
from .quantcache import QuantCacheConfig
from .skip_cache import SkipCacheConfig
from .smoothcache import SmoothCacheConfig
from .sortblock import SortblockConfig
from .steps_mask import StepsMaskConfig
from .taylorseer import TaylorSeerConfig
from .teacache import TeaCacheConfig

METHODS: Mapping[str, type[Method]] = MappingProxyType(
    {
        m.name: m
        for m in (
            BWCacheConfig,
            BWCachePlusConfig,
            FirstBlockCacheConfig,
            MagCacheConfig,
            TeaCacheConfig,
            EasyCacheConfig,
            TaylorSeerConfig,
            FORAConfig,
            PABConfig,
            FasterCacheConfig,
            MixCacheConfig,
            StepsMaskConfig,
            SmoothCacheConfig,
            LeMiCaConfig,
            AdaCacheConfig,
            DiCacheConfig,
            SortblockConfig,
            BlockCachingConfig,
            BACConfig,
            QuantCacheConfig,
            FlowCacheConfig,
            SkipCacheConfig,
        )
    }
)


def find_method(name: object) -> type[Method]:
    """The method of that name.

    Raises:
        ConfigError: There is none.
    """
    if not isinstance(name, str) or name not in METHODS:
        raise ConfigError("method", name, ", ".join(METHODS))
    return METHODS[name]


def from_dict(name: object, data: object) -> Method:
    """The config of a method that a file describes.

    Raises:
        ConfigError: The method is unknown, or a setting is missing, unknown or not allowed.
    """
    return find_method(name).from_dict(data)
