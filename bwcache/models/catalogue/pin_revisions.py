"""Pin every hub repository of the catalogue to its newest commit; asks the Hugging Face hub.

python -m bwcache.models.catalogue.pin_revisions [REPOSITORY …]      (all without one)

Writes `bwcache/models/catalogue/revisions.json`, after every commit has been found.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime

from huggingface_hub import HfApi

from ...errors import first_line
from ...files import write
from . import CATALOGUE, revisions


def main(asked: list[str]) -> None:
    """Look up what is asked for, keep the other pins, and write the file."""
    known = [spec.weights.source for spec in CATALOGUE.values() if spec.weights.on_hub]
    if strangers := [name for name in asked if name not in known]:
        raise SystemExit(f"{strangers[0]} is no repository of the catalogue: {', '.join(known)}")
    pins = json.loads(revisions.FILE.read_text(encoding="utf-8"))
    today = datetime.now(UTC).date().isoformat()
    api = HfApi()
    for name in asked or known:
        try:
            commit = api.model_info(name).sha
        except Exception as error:  # of the hub or of the network, each of its own kind
            raise SystemExit(f"{name}: {first_line(error)}; nothing was written") from error
        pins[name] = {"commit": commit, "found": f"its newest on {today}"}
        print(f"{name} {commit}")
    ordered = {name: pins[name] for name in known if name in pins}
    revisions.commits(ordered)
    write(ordered, revisions.FILE)


if __name__ == "__main__":
    main(sys.argv[1:])
