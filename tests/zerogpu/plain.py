"""What may leave ZeroGPU's worker: plain data and NumPy arrays, no tensors."""

from dataclasses import fields, is_dataclass

import numpy as np

PLAIN = (type(None), bool, int, float, str, bytes, np.ndarray, np.generic)


def assert_plain(value: object, where: str) -> None:
    """Fail where some part of an event is neither plain data nor a NumPy array."""
    if is_dataclass(value):
        for field in fields(value):
            assert_plain(getattr(value, field.name), f"{where}.{field.name}")
    elif isinstance(value, dict):
        for key, item in value.items():
            assert_plain(item, f"{where}[{key!r}]")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            assert_plain(item, f"{where}[{index}]")
    else:
        assert isinstance(value, PLAIN), f"{where}: a {type(value).__name__}"
