"""`python -m bwcache.tinyworld_training COMMAND`: make TinyWorld's weights, and check them."""

from __future__ import annotations

import sys

from . import check, export, painter
from .transformer import train


def _train(arguments: list[str]) -> None:
    """Train; a finished run is exported to `OUT/model`."""
    trainer = train(arguments)
    if trainer.rank == 0 and trainer.step == trainer.args.steps:
        export.export(trainer.args.out, None, trainer.args.out / "model")


COMMANDS = {"train": _train, "painter": painter.main, "export": export.main, "check": check.main}


def main(arguments: list[str]) -> int:
    """Run a command; returns its exit status."""
    if not arguments or arguments[0] not in COMMANDS:
        print(f"tinyworld_training: give one of {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    return COMMANDS[arguments[0]](arguments[1:]) or 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
