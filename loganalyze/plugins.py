"""What other packages add, through entry points: detectors, causes and ingesters."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TypeVar

from loganalyze.errors import UsageError

T = TypeVar("T")


def added(group: str, kind: type[T]) -> tuple[T, ...]:
    """Return what the installed packages offer in a group, such as ``loganalyze.detectors``.

    Raises
    ------
    UsageError
        If an offer cannot be imported or is nothing of this kind; the message names the package.
    """
    found = []
    for entry in sorted(entry_points(group=group), key=lambda entry: entry.name):
        package = entry.dist.name if entry.dist is not None else entry.value
        try:
            offer = entry.load()
        except Exception as error:  # noqa: BLE001 - foreign code, imported
            raise UsageError(
                f"{entry.name} of the package {package} ({group}) cannot be imported: "
                f"{type(error).__name__}: {error}. Mend or uninstall that package"
            ) from None
        if not isinstance(offer, kind):
            raise UsageError(
                f"{entry.name} of the package {package} ({group}) is no {kind.__name__} but "
                f"{type(offer).__name__}: see docs/extending.md"
            )
        found.append(offer)
    return tuple(found)
