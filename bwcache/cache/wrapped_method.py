"""A method of one object, wrapped for a while; copies of the object get a wrapped one of their own.

Some pipelines deep-copy their scheduler for each frame or for the sound. A plain wrapper set on the
object would be copied along and go on calling the original.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import update_wrapper, wraps
from typing import Any

from ..errors import CacheError

Wrap = Callable[[Callable], Callable]


class WrappedMethod:
    """A bound method with a wrapper around it; a deep copy binds to the copied object.

    Args:
        method, wrap: What is called, and what is around it.
        whole: Where this is copied along, the copy gets no wrapper: it is somebody else's.
        left: Once it is set the wrapper does nothing more, nor do those of copies: somebody may
            have kept one.
    """

    def __init__(
        self, method: Any, wrap: Wrap, whole: object = None, left: threading.Event | None = None
    ):
        self._method, self._wrap, self._whole = method, wrap, whole
        self._left = left or threading.Event()
        self._call = wrap(method)
        update_wrapper(self, method, updated=())  # the fields of a wrapped method are its own

    def __call__(self, *args, **kwargs):
        call = self._method if self._left.is_set() else self._call
        return call(*args, **kwargs)

    @property
    def inside(self) -> Any:
        """The method itself."""
        return self._method

    def __reduce__(self):
        raise CacheError(
            "pipe: no part of it can be saved whole while caching is in it; use `save_pretrained` "
            "or `state_dict()`, or leave `with cached(…)` first",
            "saving-inside",
        )

    def __deepcopy__(self, memo: dict) -> WrappedMethod:
        if isinstance(self._method, WrappedMethod):
            method = deepcopy(self._method, memo)
        else:
            owner = getattr(self._method, "__self__", None)
            if id(owner) not in memo:
                return self
            method = self._method.__func__.__get__(memo[id(owner)])
        if id(self._whole) in memo or self._left.is_set():
            return method
        return WrappedMethod(method, self._wrap, self._whole, self._left)


def then(act: Callable[[], None]) -> Wrap:
    """A wrapper that acts after every call, before its result is handed on."""

    def wrap(method: Callable) -> Callable:
        @wraps(method)
        def wrapped(*args, **kwargs):
            result = method(*args, **kwargs)
            act()
            return result

        return wrapped

    return wrap


def owner_of(method: Any) -> Any:
    """Whose method it is, wrapped or not: a copy's own is the copy's."""
    while isinstance(method, WrappedMethod):
        method = method.inside
    return method.__self__


@contextmanager
def wrapped_method(owner: object, name: str, wrap: Wrap, whole: object = None) -> Iterator[None]:
    """Wrap `owner.name` while inside; then the object is exactly as it was.

    Args:
        owner, name, wrap: What is wrapped in what.
        whole: See `WrappedMethod`.
    """
    had_own, original = name in vars(owner), getattr(owner, name)
    left = threading.Event()
    mine = WrappedMethod(original, wrap, whole, left)
    setattr(owner, name, mine)
    try:
        yield
    finally:
        left.set()
        if vars(owner).get(name) is mine:  # else somebody's own is around it, which stays
            unwrap(owner, name, had_own)


def unwrap(owner: object, name: str, had_own: bool = False) -> None:
    """Put the method itself back where a wrapper stands; nothing where none does."""
    found = vars(owner).get(name)
    if not isinstance(found, WrappedMethod):
        return
    if had_own or getattr(found.inside, "__self__", None) is not owner:
        setattr(owner, name, found.inside)
    else:
        delattr(owner, name)
