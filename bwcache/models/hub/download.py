"""Fetch a model's weights from the Hugging Face hub, with progress; every failure one sentence.

A file appears under its name only when it is complete, so a fetch that is cut short is taken up
where it stopped, file by file.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, get_cached_repo_tree, snapshot_download
from huggingface_hub.errors import HTTPError
from huggingface_hub.utils import filter_repo_objects
from huggingface_hub.utils import tqdm as HubBar

from ...errors import ModelError
from ..progress import Loading
from ..spec import ModelSpec
from .errors import OTHERWISE, damaged, download_problem, interrupted
from .local_files import INDEX, discard_damaged, free_bytes, local, patterns

BYTES_ON_DISK = "huggingface_hub.snapshot_download"  # what that function calls this bar of its own
SPARE = 500_000_000  # bytes that a download leaves free
HEARTBEAT = 1.0  # seconds after which the last event is repeated, so that a reader can leave
SILENCE = 300.0  # seconds without a byte after which a download is given up
ANSWER = 3.0  # seconds that the hub may take to answer whether it is there
PATIENCE = 5.0  # seconds that a stopped download is waited for; it ends at its next byte
GB = 1e9

Progress = tuple[int, int]  # bytes so far, and in all
Report = Progress | Path | BaseException


class DownloadStopped(Exception):
    """The reader went away; raised inside a download to end it."""


def fetch(spec: ModelSpec) -> Generator[Loading, None, Path]:
    """Bring a model's files here.

    Args:
        spec: An entry whose weights are `on_hub`; their `revision` is what is fetched, the newest
            where None.

    Yields:
        `Loading("download", bytes so far, bytes in all)` for each percent, and again where nothing
        moves; nothing where all files are here already. The bytes are those that were missing.
        Closing the generator stops the download.

    Returns:
        The folder, laid out as on the hub; its name is the commit.

    Raises:
        ModelError: One sentence with its remedy. What is complete is kept.
    """
    if (folder := local(spec)) is not None:
        return folder
    for last in (False, True):
        try:
            return (yield from _download(spec))
        except ModelError:
            raise
        except Exception as error:
            if last or not interrupted(error):
                raise ModelError(download_problem(spec, error)) from error
        note = "The download was interrupted; taking it up again."
        yield Loading("retry", note=note)
    raise AssertionError("unreachable")


def reachable(spec: ModelSpec) -> bool:
    """Whether the hub is there and would hand out a model; asked of it, with little patience."""
    try:
        HfApi(endpoint=os.environ.get("HF_ENDPOINT")).model_info(
            spec.weights.source, revision=spec.weights.revision, timeout=ANSWER
        )
        return True
    except (HTTPError, OSError, ValueError):  # refused, out of reach, or not to be asked
        return False


def _download(spec: ModelSpec) -> Generator[Loading, None, Path]:
    """Run `_work` in a thread and yield what it reports."""
    reports: queue.Queue[Report] = queue.Queue()
    stop = threading.Event()

    def work() -> None:
        try:
            reports.put(_work(spec, reports.put, stop))
        except BaseException as error:  # handed over, so that nobody waits for ever
            reports.put(error)

    worker = threading.Thread(target=work, name="bwcache-download", daemon=True)
    worker.start()
    shown, silent = Loading("download"), 0.0
    yield shown
    try:
        while True:
            try:
                report = reports.get(timeout=HEARTBEAT)
            except queue.Empty:
                silent += HEARTBEAT
                if silent >= SILENCE:
                    raise TimeoutError from None
                yield shown
                continue
            silent = 0.0
            if isinstance(report, Path):
                return report
            if isinstance(report, BaseException):
                raise report
            if _percent(*report) != _percent(shown.done, shown.total):
                shown = Loading("download", *report)
                yield shown
    finally:
        stop.set()
        if worker.is_alive():
            _abort_xet()
            worker.join(PATIENCE)


def _percent(done: int | None, total: int | None) -> int:
    return 100 * done // total if total and done is not None else -1


def _work(spec: ModelSpec, report: Callable[[Progress], None], stop: threading.Event) -> Path:
    endpoint = os.environ.get("HF_ENDPOINT")
    repository: dict[str, Any] = {"repo_id": spec.weights.source, "endpoint": endpoint}
    quiet = _bar(lambda n: None, stop)
    folder = Path(
        snapshot_download(
            **repository, revision=spec.weights.revision, allow_patterns=[INDEX], tqdm_class=quiet
        )
    )
    if not (folder / INDEX).is_file():
        raise ModelError(
            f"model: {spec.title}: {spec.weights.source} holds no diffusers pipeline ({INDEX} is "
            f"missing); get a newer version of this program, {OTHERWISE}"
        )
    try:
        chosen = patterns(folder)
    except ValueError:
        discard_damaged(folder)
        raise ModelError(damaged(spec, [INDEX])) from None
    tree = get_cached_repo_tree(spec.weights.source, revision=folder.name)
    sizes = {file.path: file.size for file in tree}
    wanted = filter_repo_objects(sizes, **chosen)
    total = sum(sizes[path] for path in wanted if not (folder / path).exists())
    if total + SPARE > (free := free_bytes()):
        raise ModelError(
            f"model: {spec.title}: its download of {total / GB:.1f} GB does not fit on the disk, "
            f"which has {free / GB:.1f} GB free; free some space or set HF_HOME to another disk, "
            f"{OTHERWISE}"
        )
    done = 0

    def count(n: float) -> None:
        nonlocal done
        done += int(n)
        report((min(max(done, 0), total), total))

    report((0, total))
    snapshot_download(**repository, revision=folder.name, tqdm_class=_bar(count, stop), **chosen)
    report((total, total))
    return folder


def _bar(count: Callable[[float], None], stop: threading.Event) -> type[HubBar]:
    """A progress bar of `huggingface_hub` that shows nothing, but counts, and ends on `stop`."""

    class Bar(HubBar):
        def __init__(self, *args, name: str | None = None, **options):
            self._counts = name == BYTES_ON_DISK
            super().__init__(*args, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> None:
            if stop.is_set():
                raise DownloadStopped
            if self._counts and n:
                count(n)

    return Bar


def _abort_xet() -> None:
    """End transfers that another library makes, out of reach of a bar's exception."""
    if "hf_xet" in sys.modules:
        from huggingface_hub.utils._xet import abort_xet_session

        abort_xet_session()
