"""The page: build it around a compare function, and launch it."""

from .host import Host
from .page import build
from .serve import LaunchError, launch, serve_until_stopped

__all__ = ["Host", "LaunchError", "build", "launch", "serve_until_stopped"]
