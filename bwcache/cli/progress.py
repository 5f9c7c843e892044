"""A model being made ready, on a terminal: on stderr, so that stdout stays a script's."""

from __future__ import annotations

import sys

from tqdm import tqdm

from ..models.progress import Loading

DOING = {"load": "loading the model", "warm_up": "warming up"}


class LoadingBar:
    """Shows `Loading` events as they come, a download as a bar of bytes; passes over others."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None
        self._shown: Loading | None = None

    def show(self, event: object) -> None:
        downloading = isinstance(event, Loading) and event.stage == "download"
        if self._bar is not None and not downloading:
            self._bar.close()
            self._bar = None
        if not isinstance(event, Loading) or event == self._shown:  # one may come again and again
            return
        self._shown = event
        if not downloading:
            tqdm.write(event.note or DOING[event.stage], file=sys.stderr)
        elif event.total:
            if self._bar is None:
                options = {"unit": "B", "unit_scale": True, "file": sys.stderr}
                self._bar = tqdm(total=event.total, desc="download", **options)
            self._bar.update(event.done - self._bar.n)
