"""How much RAM there is, for this machine or for the container around it. Standard library only."""

from __future__ import annotations

import os
from pathlib import Path

LIMITS = (  # of a container: control groups, version 2 and 1
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def ram_bytes(limits: tuple[Path, ...] = LIMITS) -> int:
    """The machine's memory, or the container's share of it."""
    there = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in limits:
        try:
            there.append(int(path.read_text(encoding="ascii")))
        except (OSError, ValueError):  # no such group, or "max"
            continue
    return min(there)
