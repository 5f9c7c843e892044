"""A Space on ZeroGPU without the hardware: the real `spaces` around comparisons, in a process.

`space.py` starts it and asks it to call the functions here. What it wraps is in `comparisons.py`.
"""

from __future__ import annotations

import base64
import json
import sys
from contextlib import closing
from functools import partial
from multiprocessing.connection import Connection

from .comparisons import COMPARISONS, LEFT, MADE

BLACKWELL = "Model: \t\t NVIDIA RTX PRO 6000 Blackwell Server Edition\n"


def import_spaces():
    """`spaces` as it is on a Space, on the card that Spaces are lent.

    It patches the CUDA side of torch, of which a CPU build has none: it must not see one.
    """
    assert "torch" not in sys.modules
    sys.modules["torch"] = None
    import spaces
    from spaces.zero import config

    del sys.modules["torch"]
    config._read_gpu_information = lambda: BLACKWELL
    return spaces


def serve(line: Connection) -> None:
    """Make the calls that are asked for until nobody asks any more."""
    while True:
        try:
            name, arguments = line.recv()
        except EOFError:
            return
        try:
            line.send(globals()[name](*arguments))
        except Exception as error:
            line.send(portable(error))


def portable(error: Exception) -> Exception:
    """The same kind of error with the same text, where it is one of ours; else one that tells."""
    from bwcache.models import ModelError

    if isinstance(error, ModelError):
        return ModelError(str(error))
    return AssertionError(f"{type(error).__name__}: {error}")


_wrapped: dict[str, object] = {}
_stores: dict[str, object] = {}


def wrapped(kind: str):
    """`zerogpu.gpu(…)` of a comparison with a memory, made once."""
    from bwcache.runs.baselines import remembering
    from bwcache.space import zerogpu

    if kind not in _wrapped:
        _wrapped[kind] = remembering(zerogpu.gpu(COMPARISONS[kind]))
    return _wrapped[kind]


def events(kind: str, request, visitor: str = "nobody", store: str | None = None) -> list:
    """Every event of a comparison, on the card."""
    from bwcache.runs.baselines import BaselineStore

    asking(visitor)
    remembered = None if store is None else _stores.setdefault(store, BaselineStore())
    return list(wrapped(kind)(request, remembered, "cpu"))


def stopped(kind: str, request, after: int) -> int:
    """How many events came of a comparison that was closed after so many."""
    seen = 0
    with closing(wrapped(kind)(request, None, "cpu")) as stream:
        for _ in stream:
            seen += 1
            if seen == after:
                break
    return seen


def first_of_a_download(kind: str, request, event):
    """The first event of a comparison, where fetching the model's files yields a given one."""
    from bwcache.models import machine
    from bwcache.space import zerogpu

    kept, zerogpu.fetch = zerogpu.fetch, lambda spec: iter([event])
    there, machine.ram_bytes = machine.ram_bytes, lambda: 10**12
    try:
        with closing(wrapped(kind)(request, None, "cuda")) as stream:
            return next(stream)
    finally:
        zerogpu.fetch, machine.ram_bytes = kept, there


def made() -> int:
    """How many events the workers of "counted" have made."""
    return len(MADE.read_bytes())


def in_the_store(store: str, request):
    return _stores[store].get(request)


def asked_for(request, visitor: str = "nobody", store: str | None = None):
    """The price that the page would show."""
    from bwcache.space import zerogpu

    return zerogpu.price(request, _stores.get(store), asking(visitor), "cpu")


def preloaded(names: list[str]) -> list[tuple]:
    """Load models as `app.py` does; gives those that are ready."""
    from bwcache.space import zerogpu

    zerogpu.preload(names, "cpu")
    return sorted(zerogpu._ready)


def open_gate() -> None:
    """Leave a gate in the parent's pipeline, which every worker inherits."""
    from bwcache import BWCacheConfig, cached
    from bwcache.models import loading

    LEFT.append(cached(loading.load("tinyworld", "cpu"), BWCacheConfig(1e6)))
    LEFT[-1].__enter__()


def close_gate() -> None:
    LEFT.pop().__exit__(None, None, None)


def page(request, session: str) -> list[dict]:
    """The rows that a click on Generate shows, for a visitor of that session."""
    from bwcache.ui import Host
    from bwcache.ui.events import comparison_job
    from bwcache.ui.handlers import Handlers
    from bwcache.ui.sessions import Visitors

    if "page" not in _wrapped:
        job = comparison_job(wrapped("real"), Host("cpu"), str)
        _wrapped["page"] = Handlers(job, Visitors())
    asked = _wrapped["page"].results.open(request).id
    shown = [rows for rows, *_ in _wrapped["page"].run(asked, session, "en")]
    return shown[-2]  # the last one is a short one


def launched() -> list[str]:
    """Launch `app.py`'s page; gives the names of what `spaces` was given to wrap."""
    from spaces.zero.decorator import decorated_cache

    import app

    app.launch = partial(app.launch, prevent_thread_lock=True, quiet=True)  # returns at once
    app.main([])
    app.demo.close(verbose=False)
    return sorted({task.__qualname__ for task in decorated_cache})


VISITORS = {"nobody": None, "stranger": {}, "member": {"user": "someone"}}


def asking(visitor: str):
    """Let Gradio's current request be this visitor's."""
    import gradio as gr
    from gradio.context import LocalContext
    from starlette.datastructures import Headers

    claims = VISITORS[visitor]
    request = None
    if claims is not None:
        payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
        headers = Headers({"x-ip-token": f"e.{payload}.s", "x-gradio-user": "app"})
        request = gr.Request(headers=headers)
    LocalContext.request.set(request)
    return request


if __name__ == "__main__":
    import_spaces()
    serve(Connection(int(sys.argv[1])))
