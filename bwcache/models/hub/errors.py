"""What went wrong between here and the Hugging Face hub, as one sentence with its remedy.

Errors of the HTTP library are told by their names: its package differs between releases of
`huggingface_hub`.
"""

from __future__ import annotations

import errno

from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from ...errors import chain
from ..spec import ModelSpec

NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
NO_ENTRY = {errno.EACCES, errno.EPERM, errno.EROFS}
BROKEN_OFF = {"RemoteProtocolError", "ReadError", "WriteError", "ChunkedEncodingError"}
UNREACHABLE = {"ConnectError", "ProxyError", "NetworkError", "ConnectionError"}
SILENT = {"TimeoutException", "Timeout", "TimeoutError"}
OTHERWISE = "or use tinyworld, which needs no download"


def interrupted(error: BaseException) -> bool:
    """Whether the connection broke while a file was on its way."""
    return any(_kinds(each) & BROKEN_OFF or _wrong_size(each) for each in chain(error))


def sentence(spec: ModelSpec, error: BaseException) -> str:
    """What happened while a model's files were fetched, and what to do.

    The first in the chain of causes that is known here counts.
    """
    said = [text for each in chain(error) if (text := _said(spec, each))]
    what = said[0] if said else _unknown(error)
    return f"model: {spec.title}: {what}"


def damaged(spec: ModelSpec, names: list[str]) -> str:
    """The sentence for files that were found damaged and deleted."""
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return (
        f"model: {spec.title}: {names[0]}{more} was damaged on the disk and has been deleted; "
        "try again, and it is fetched anew"
    )


def _said(spec: ModelSpec, error: BaseException) -> str | None:
    page = f"https://huggingface.co/{spec.source}"
    match error:
        case OSError(errno=number) if number in NO_SPACE:
            return f"the disk is full; free some space or set HF_HOME to another disk, {OTHERWISE}"
        case OSError(errno=number) if number in NO_ENTRY:
            return "the cache folder cannot be written to; set HF_HOME to a folder that can be"
        case GatedRepoError():
            return (
                f"its authors ask for consent first; accept the licence at {page}, then set "
                "HF_TOKEN to a token of that account"
            )
        case RepositoryNotFoundError():
            return (
                f"the hub has no repository {spec.source}, or none that you may read; set "
                f"HF_TOKEN if it is private, {OTHERWISE}"
            )
        case RevisionNotFoundError():
            return (
                f"the hub no longer has the pinned revision {spec.revision} of {spec.source}; "
                f"get a newer version of this program, {OTHERWISE}"
            )
        case RemoteEntryNotFoundError():
            return (
                f"a file of {spec.source} is missing on the hub; get a newer version of this "
                f"program, {OTHERWISE}"
            )
        case HfHubHTTPError():
            return _answer(error.response.status_code)
        case OfflineModeIsEnabled():
            return (
                "its files are not all here and HF_HUB_OFFLINE forbids fetching them; unset it, "
                f"{OTHERWISE}"
            )
    kinds = _kinds(error)
    if kinds & BROKEN_OFF or _wrong_size(error):
        return (
            "the download was interrupted twice; try again later: files that are complete are "
            "not fetched again"
        )
    if kinds & SILENT:
        return f"the hub did not answer in time; check the connection and try again, {OTHERWISE}"
    if kinds & UNREACHABLE:
        return f"the hub cannot be reached; check the connection and try again, {OTHERWISE}"
    if isinstance(error, LocalEntryNotFoundError) and error.__cause__ is None:
        return f"its files are not all here; check the connection and try again, {OTHERWISE}"
    return None


def _answer(status: int) -> str:
    if status == 429:
        return (
            "the hub refuses more requests for now; wait some minutes, or set HF_TOKEN, which "
            "raises the limit"
        )
    if status in (401, 403):
        return "the hub refuses this HF_TOKEN; set a valid one that may read models, or none"
    if status >= 500:
        return f"the hub is out of order (it answered {status}); try again later, {OTHERWISE}"
    return f"the hub answered {status}; try again later, {OTHERWISE}"


def _unknown(error: BaseException) -> str:
    text = (str(error).strip().splitlines() or [""])[0][:200]
    about = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return f"its files could not be fetched ({about}); try again, {OTHERWISE}"


def _kinds(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _wrong_size(error: BaseException) -> bool:
    """The hub's library says so in words only."""
    return type(error) is OSError and "Consistency check failed" in str(error)
