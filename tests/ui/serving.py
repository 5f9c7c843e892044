"""A page served on a free port of this machine, around the fake, for tests without a browser."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

from bwcache.testing import FakeBackend
from bwcache.ui import build, launch

PATIENCE = 60  # seconds; only a failing test waits so long


@contextmanager
def serving(backend: FakeBackend | None = None, **options) -> Iterator[SimpleNamespace]:
    """Yields the address (with a slash at its end), the page, and the fake."""
    backend = backend or FakeBackend()
    page = build(backend)
    _, address, _ = launch(page, prevent_thread_lock=True, quiet=True, **options)
    try:
        yield SimpleNamespace(address=address, page=page, backend=backend)
    finally:
        page.close(verbose=False)


def wait_for(condition: Callable[[], bool]) -> bool:
    """Whether it comes true, sooner or later."""
    deadline = time.monotonic() + PATIENCE
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return met
