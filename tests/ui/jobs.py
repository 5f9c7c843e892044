"""What a job's updates hold, for tests without a browser."""

import itertools
from collections.abc import Iterable

SMALL = 5000  # bytes of a row: a picture of six frames is up to 4 KB of text


def lists_of(updates: Iterable) -> list[list[dict]]:
    """The lists of rows among a job's updates."""
    return [update[0] for update in updates if isinstance(update[0], list)]


def shown(updates: Iterable) -> list[dict]:
    """The longest of them."""
    return max(lists_of(updates), key=len)


def only_grow(updates: Iterable) -> bool:
    """Whether each list is the one before and a row more, and a list of its own."""
    return all(
        len(after) == len(before) + 1 and after[:-1] == before and after is not before
        for before, after in itertools.pairwise(lists_of(updates))
    )
