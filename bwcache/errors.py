"""The project's errors, in one place; standard library only."""

from __future__ import annotations

import errno
import unicodedata
from collections.abc import Iterator

HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # Unicode's controls, marks, halves and line ends


def plain(text: object) -> str:
    """A text for one line of a terminal or a log: what would steer either is spelt out."""
    return "".join(
        letter.encode("unicode_escape").decode("ascii")
        if unicodedata.category(letter) in HIDDEN
        else letter
        for letter in str(text)
    )


class ConfigError(ValueError):
    """A setting that cannot be used: names the field, what was given, what is allowed."""

    def __init__(self, field: str, given: object, allowed: str):
        self.field, self.given, self.allowed = field, given, allowed
        try:
            shown = repr(given)
        except ValueError:  # a whole number of more digits than Python spells out
            shown = "a number of thousands of digits"
        shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
        super().__init__(plain(f"{field}: got {shown}; allowed is {allowed}"))


def is_number(value: object) -> bool:
    """Whether a value is an int or float; bool is neither here."""
    return isinstance(value, int | float) and not isinstance(value, bool)


class TraceError(ValueError):
    """A trace that cannot be read: names the part, what was found, what is needed."""

    def __init__(self, why: str):
        shown = plain(why)
        super().__init__(shown if len(shown) <= 300 else f"{shown[:297]}...")


TROUBLESHOOTING = "docs/troubleshooting.md"


class CacheError(RuntimeError):
    """Caching cannot be put into this pipeline, or does nothing there; says why and what to do.

    Args:
        why: In a sentence or two, the way out included.
        about: The paragraph of `docs/troubleshooting.md` that says more.
    """

    def __init__(self, why: str, about: str):
        self.why, self.about = why, about
        super().__init__(f"{why} (see {TROUBLESHOOTING}#{about})")

    def __reduce__(self):
        return CacheError, (self.why, self.about)  # as it comes from another process


class ModelError(RuntimeError):
    """A model that cannot be used here: says why, and what to do."""


class MachineError(RuntimeError):
    """What this machine cannot do now, as with a full disk or without ffmpeg.

    Args:
        said: A few words for everybody, without a path: "the disk is full".
        more: For the host, who can do something about it.
    """

    def __init__(self, said: str, more: str = ""):
        self.said, self.more = said, more
        super().__init__(f"{said}: {more}" if more else said)

    def __reduce__(self):
        return MachineError, (self.said, self.more)  # as it comes from another process


class DeviceError(RuntimeError):
    """A device that a run was on, or all that there were, is out of service; a sentence for all.

    Args:
        message: The sentence.
    """

    def __init__(self, message: str):
        self.message = message
        super().__init__(message)


FAULTS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file would be larger than is allowed here",
    errno.EROFS: "the disk takes no more writing",
    errno.EIO: "the disk fails",
    errno.EMFILE: "too many files are open",
    errno.ENFILE: "too many files are open",
    errno.ENOMEM: "memory ran out",
    errno.EAGAIN: "the machine is too busy",
}


def machine_fault(error: BaseException) -> str | None:
    """What is wrong with the machine, in words without a path, where that is why an error came."""
    for each in chain(error):
        if isinstance(each, MachineError):
            return each.said
        if isinstance(each, OSError) and each.errno in FAULTS:
            return FAULTS[each.errno]
        if isinstance(each, MemoryError):
            return FAULTS[errno.ENOMEM]
        if isinstance(each, RuntimeError) and "can't start new thread" in str(each):
            return FAULTS[errno.EAGAIN]
    return None


class RecordedError(ValueError):
    """A recorded run that cannot be used: names the part, what was found, what is needed."""

    def __init__(self, part: str, found: object, needed: str):
        found = found if isinstance(found, str) else repr(found)
        part, found = plain(part), plain(found)
        part = part if len(part) <= 80 else f"{part[:77]}..."
        found = found if len(found) <= 80 else f"{found[:77]}..."
        super().__init__(plain(f"{part}: found {found}, needed is {needed}"))


class DeployError(RuntimeError):
    """Something that keeps a Space from being made: says what, and what to do."""


def first_line(error: BaseException) -> str:
    """What an error says, in one short line."""
    return plain((str(error).strip().splitlines() or [type(error).__name__])[0][:200])


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error, what caused that, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
