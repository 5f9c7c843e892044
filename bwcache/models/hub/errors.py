"""What went wrong between here and the Hugging Face hub, as one sentence with its remedy.

`hub_problem` knows what may go wrong whatever is asked of the hub, `download_problem` what may
while a model is fetched. Errors of the HTTP library are recognised by their names: its package
differs between releases of `huggingface_hub`.
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

from ...errors import chain, first_line
from ..spec import ModelSpec

NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
NO_ENTRY = {errno.EACCES, errno.EPERM, errno.EROFS}
BROKEN_OFF = {"RemoteProtocolError", "ReadError", "WriteError", "ChunkedEncodingError"}
UNREACHABLE = {"ConnectError", "ProxyError", "NetworkError", "ConnectionError"}
SILENT = {"TimeoutException", "Timeout", "TimeoutError"}
OTHERWISE = "or use tinyworld, which needs no download"


def hub_problem(error: BaseException, token_remedy: str) -> str | None:
    """What kept the hub from doing anything at all, and what to do; None for other errors.

    Args:
        error: What its client raised.
        token_remedy: What to do about an access token that it refuses: "set …".
    """
    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE forbids asking the hub; unset it"
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        if status == 429:
            return (
                "the hub refuses more requests for now; wait some minutes, or set HF_TOKEN, which "
                "raises the limit"
            )
        if status in (401, 403):
            return f"the hub refuses this HF_TOKEN; {token_remedy}"
        if status >= 500:
            return f"the hub is out of order (it answered {status}); try again later"
        return f"the hub answered {status}; try again later"
    if _kinds(error) & SILENT:
        return "the hub did not answer in time; check the connection and try again"
    if _kinds(error) & UNREACHABLE:
        return "the hub cannot be reached; check the connection and try again"
    return None


def interrupted(error: BaseException) -> bool:
    """Whether the connection broke while a file was on its way."""
    return any(_kinds(each) & BROKEN_OFF or _wrong_size(each) for each in chain(error))


def download_problem(spec: ModelSpec, error: BaseException) -> str:
    """What happened while a model's files were fetched, and what to do.

    The first in the chain of causes that is known here counts.
    """
    known = [text for each in chain(error) if (text := _known(spec, each))]
    what = f"its files could not be fetched ({_about(error)}); try again, {OTHERWISE}"
    return f"model: {spec.title}: {known[0] if known else what}"


def damaged(spec: ModelSpec, names: list[str]) -> str:
    """The sentence for files that were found damaged and deleted."""
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return (
        f"model: {spec.title}: {names[0]}{more} was damaged on the disk and has been deleted; "
        "try again, and it is fetched anew"
    )


def _known(spec: ModelSpec, error: BaseException) -> str | None:
    source = spec.weights.source
    match error:
        case OSError(errno=number) if number in NO_SPACE:
            return f"the disk is full; free some space or set HF_HOME to another disk, {OTHERWISE}"
        case OSError(errno=number) if number in NO_ENTRY:
            return "the cache folder cannot be written to; set HF_HOME to a folder that can be"
        case GatedRepoError():
            return (
                "its authors ask for consent first; accept the licence at "
                f"https://huggingface.co/{source}, then set HF_TOKEN to a token of that account"
            )
        case RepositoryNotFoundError():
            return (
                f"the hub has no repository {source}, or none that you may read; set "
                f"HF_TOKEN if it is private, {OTHERWISE}"
            )
        case RevisionNotFoundError():
            return (
                f"the hub no longer has the pinned revision {spec.weights.revision} of {source}; "
                f"get a newer version of this program, {OTHERWISE}"
            )
        case RemoteEntryNotFoundError():
            return (
                f"a file of {source} is missing on the hub; get a newer version of this program, "
                f"{OTHERWISE}"
            )
    if _kinds(error) & BROKEN_OFF or _wrong_size(error):
        return (
            "the download was interrupted twice; try again later: files that are complete are "
            "not fetched again"
        )
    if problem := hub_problem(error, "set a valid one that may read models, or none"):
        return f"{problem}, {OTHERWISE}"
    if isinstance(error, LocalEntryNotFoundError) and error.__cause__ is None:
        return f"its files are not all here; check the connection and try again, {OTHERWISE}"
    return None


def _about(error: BaseException) -> str:
    kind, line = type(error).__name__, first_line(error)
    return kind if line == kind else f"{kind}: {line}"


def _kinds(error: BaseException) -> set[str]:
    """Names of an error's class and of those that it is made of."""
    return {kind.__name__ for kind in type(error).__mro__}


def _wrong_size(error: BaseException) -> bool:
    """The hub's library says so in words only."""
    return type(error) is OSError and "Consistency check failed" in str(error)
