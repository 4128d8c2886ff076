"""What a training loop hands over, as numbers: floats, integers, NumPy scalars, tensors of one element."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def number(value: Any) -> float | None:
    """Return a value as a float; None for what is no number.

    A tensor on an accelerator is copied to the host here, which waits for it: call this for what is
    to be logged only.
    """
    if isinstance(value, float):
        return value
    if isinstance(value, bool) or value is None or isinstance(value, (str, bytes)):
        return None
    try:
        return float(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None


def numbers(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield the numbers in a mapping, those of nested ones under names with slashes."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from numbers(value, f"{prefix}{name}/")
        else:
            found = number(value)
            if found is not None:
                yield f"{prefix}{name}", found
