"""bwcache: watch a video diffusion transformer, and reuse the work that it repeats."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for editors and type checkers; a program imports each name when it is used
    from .cache.block_stacks import BlockStack
    from .cache.install import SAFE, cached, disable, enable
    from .cache.method import Method, Plan, Probe, Span
    from .cache.methods import METHODS
    from .cache.methods.bwcache import BWCacheConfig
    from .cache.methods.bwcache_plus import BWCachePlusConfig
    from .cache.methods.first_block_cache import FirstBlockCacheConfig
    from .cache.methods.magcache import MagCacheConfig
    from .cache.predict import predict
    from .cache.trace import StepRecord, Trace, TraceFile
    from .errors import CacheError, ConfigError, TraceError

__all__ = [
    "METHODS",
    "SAFE",
    "BWCacheConfig",
    "BWCachePlusConfig",
    "BlockStack",
    "CacheError",
    "ConfigError",
    "FirstBlockCacheConfig",
    "MagCacheConfig",
    "Method",
    "Plan",
    "Probe",
    "Span",
    "StepRecord",
    "Trace",
    "TraceError",
    "TraceFile",
    "cached",
    "disable",
    "enable",
    "predict",
]
__version__ = "0.1.0"

_HOME = {
    "BWCacheConfig": "cache.methods.bwcache",
    "BWCachePlusConfig": "cache.methods.bwcache_plus",
    "BlockStack": "cache.block_stacks",
    "CacheError": "errors",
    "ConfigError": "errors",
    "FirstBlockCacheConfig": "cache.methods.first_block_cache",
    "METHODS": "cache.methods",
    "MagCacheConfig": "cache.methods.magcache",
    "Method": "cache.method",
    "Plan": "cache.method",
    "Probe": "cache.method",
    "SAFE": "cache.install",
    "Span": "cache.method",
    "StepRecord": "cache.trace",
    "Trace": "cache.trace",
    "TraceError": "errors",
    "TraceFile": "cache.trace",
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
