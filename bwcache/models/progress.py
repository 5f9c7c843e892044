"""How far loading a model is: what the page, the command line and a log show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Stage = Literal["download", "load", "warm_up", "retry"]


@dataclass(frozen=True)
class Loading:
    """The model is being made ready.

    The last one may come again and again while nothing else happens.

    Args:
        stage: What is being done. After "retry" everything starts anew, and what a run has yielded
            so far is void.
        done, total: Bytes so far and in all, for a download; None where unknown.
        note: A sentence for people where something went wrong and is tried again; else "".
    """

    stage: Stage
    done: int | None = None
    total: int | None = None
    note: str = ""
