"""`python -m bwcache.tinyworld_training COMMAND`: make TinyWorld's weights, and check them."""

from __future__ import annotations

import sys

from . import autoencoder, check, contact_sheet, export, recipe, transformer

COMMANDS = {
    "autoencoder": autoencoder.main,
    "train": transformer.main,
    "export": export.main,
    "check": check.main,
    "sheet": contact_sheet.main,
    "recipe": recipe.main,
}


def main(arguments: list[str]) -> int:
    """Run a command; returns its exit status."""
    if not arguments or arguments[0] not in COMMANDS:
        print(f"tinyworld_training: give one of {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    return COMMANDS[arguments[0]](arguments[1:]) or 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
