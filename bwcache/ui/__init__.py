"""The page: build it around a compare function, and launch it."""

from .host import Host
from .page import build
from .serve import LaunchError, launch

__all__ = ["Host", "LaunchError", "build", "launch"]
