"""The project's errors, in one place; standard library only."""

from __future__ import annotations

from collections.abc import Iterator


class ConfigError(ValueError):
    """A setting that cannot be used: names the field, what was given, what is allowed."""

    def __init__(self, field: str, given: object, allowed: str):
        self.field, self.given, self.allowed = field, given, allowed
        shown = repr(given)
        shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
        super().__init__(f"{field}: got {shown}; allowed is {allowed}")


def is_number(value: object) -> bool:
    """Whether a value is an int or float; bool is neither here."""
    return isinstance(value, int | float) and not isinstance(value, bool)


class TraceError(ValueError):
    """A trace that cannot be read: names the part, what was found, what is needed."""


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


class RecordedError(ValueError):
    """A recorded run that cannot be used: names the part, what was found, what is needed."""

    def __init__(self, part: str, found: object, needed: str):
        found = found if isinstance(found, str) else repr(found)
        found = r"\n".join(found.splitlines())
        found = found if len(found) <= 80 else f"{found[:77]}..."
        super().__init__(f"{part}: found {found}, needed is {needed}")


class DeployError(RuntimeError):
    """Something that keeps a Space from being made: says what, and what to do."""


def first_line(error: BaseException) -> str:
    """What an error says, in one short line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error, what caused that, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
