"""bwcache: watch a video diffusion transformer, and reuse the work that it repeats."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for editors and type checkers; a program imports each name when it is used
    from .cache.block_stacks import BlockStack
    from .cache.built_in import built_in
    from .cache.install import SAFE, cached, disable, enable
    from .cache.method import Method, Plan, Probe, Span
    from .cache.methods import METHODS
    from .cache.methods.adacache import AdaCacheConfig
    from .cache.methods.bac import BACConfig
    from .cache.methods.block_caching import BlockCachingConfig
    from .cache.methods.bwcache import BWCacheConfig
    from .cache.methods.bwcache_plus import BWCachePlusConfig
    from .cache.methods.dicache import DiCacheConfig
    from .cache.methods.easycache import EasyCacheConfig
    from .cache.methods.fastercache import FasterCacheConfig
    from .cache.methods.first_block_cache import FirstBlockCacheConfig
    from .cache.methods.flowcache import FlowCacheConfig
    from .cache.methods.fora import FORAConfig
    from .cache.methods.lemica import LeMiCaConfig
    from .cache.methods.magcache import MagCacheConfig
    from .cache.methods.mixcache import MixCacheConfig
    from .cache.methods.pab import PABConfig
    from .cache.methods.quantcache import QuantCacheConfig
    from .cache.methods.skip_cache import SkipCacheConfig
    from .cache.methods.smoothcache import SmoothCacheConfig
    from .cache.methods.sortblock import SortblockConfig
    from .cache.methods.steps_mask import StepsMaskConfig
    from .cache.methods.taylorseer import TaylorSeerConfig
    from .cache.methods.teacache import TeaCacheConfig
    from .cache.predict import predict
    from .cache.trace import StepRecord, Trace, TraceFile
    from .errors import CacheError, ConfigError, TraceError

__all__ = [
    "METHODS",
    "SAFE",
    "AdaCacheConfig",
    "BACConfig",
    "BWCacheConfig",
    "BWCachePlusConfig",
    "BlockCachingConfig",
    "BlockStack",
    "CacheError",
    "ConfigError",
    "DiCacheConfig",
    "EasyCacheConfig",
    "FORAConfig",
    "FasterCacheConfig",
    "FirstBlockCacheConfig",
    "FlowCacheConfig",
    "LeMiCaConfig",
    "MagCacheConfig",
    "Method",
    "MixCacheConfig",
    "PABConfig",
    "Plan",
    "Probe",
    "QuantCacheConfig",
    "SkipCacheConfig",
    "SmoothCacheConfig",
    "SortblockConfig",
    "Span",
    "StepRecord",
    "StepsMaskConfig",
    "TaylorSeerConfig",
    "TeaCacheConfig",
    "Trace",
    "TraceError",
    "TraceFile",
    "built_in",
    "cached",
    "disable",
    "enable",
    "predict",
]
__version__ = "0.1.0"

_HOME = {
    "AdaCacheConfig": "cache.methods.adacache",
    "BACConfig": "cache.methods.bac",
    "BWCacheConfig": "cache.methods.bwcache",
    "BlockCachingConfig": "cache.methods.block_caching",
    "BWCachePlusConfig": "cache.methods.bwcache_plus",
    "BlockStack": "cache.block_stacks",
    "CacheError": "errors",
    "ConfigError": "errors",
    "DiCacheConfig": "cache.methods.dicache",
    "EasyCacheConfig": "cache.methods.easycache",
    "FORAConfig": "cache.methods.fora",
    "FasterCacheConfig": "cache.methods.fastercache",
    "FirstBlockCacheConfig": "cache.methods.first_block_cache",
    "FlowCacheConfig": "cache.methods.flowcache",
    "LeMiCaConfig": "cache.methods.lemica",
    "METHODS": "cache.methods",
    "MagCacheConfig": "cache.methods.magcache",
    "Method": "cache.method",
    "MixCacheConfig": "cache.methods.mixcache",
    "PABConfig": "cache.methods.pab",
    "Plan": "cache.method",
    "Probe": "cache.method",
    "QuantCacheConfig": "cache.methods.quantcache",
    "SkipCacheConfig": "cache.methods.skip_cache",
    "SAFE": "cache.install",
    "SmoothCacheConfig": "cache.methods.smoothcache",
    "SortblockConfig": "cache.methods.sortblock",
    "Span": "cache.method",
    "StepRecord": "cache.trace",
    "StepsMaskConfig": "cache.methods.steps_mask",
    "TaylorSeerConfig": "cache.methods.taylorseer",
    "TeaCacheConfig": "cache.methods.teacache",
    "Trace": "cache.trace",
    "TraceError": "errors",
    "TraceFile": "cache.trace",
    "built_in": "cache.built_in",
    "cached": "cache.install",
    "disable": "cache.install",
    "enable": "cache.install",
    "predict": "cache.predict",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used, so that `predict` never loads torch."""
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
