"""A benchmark as a program of its own: a line for what it refuses (status 2) or cannot do (1)."""

from __future__ import annotations

import sys
from collections.abc import Callable

from ..errors import ConfigError, MachineError, ModelError, first_line, machine_fault


def run_program(name: str, main: Callable[[], None]) -> None:
    """Run a program's `main`; leave with one line on stderr where it refuses what it was given."""
    try:
        main()
    except (ConfigError, ModelError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(2)
    except (MachineError, OSError) as error:
        print(f"{name}: {machine_fault(error) or ''} ({first_line(error)})", file=sys.stderr)
        sys.exit(1)
