"""The page: build it around a compare function, and launch it."""

from .page import build
from .serve import launch

__all__ = ["build", "launch"]
