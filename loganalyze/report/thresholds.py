"""The settings that an analysis used: every threshold with its value, its unit and its reason."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loganalyze.finding import Diagnosis


@dataclass(frozen=True, slots=True)
class Threshold:
    """One setting as it was used."""

    name: str
    value: str
    default: str
    unit: str
    source: str

    @property
    def is_changed(self) -> bool:
        """Whether the user gave another value than the default."""
        return self.value != self.default


def thresholds(diagnosis: Diagnosis) -> tuple[Threshold, ...]:
    """Return all settings of the checks that were made, by name."""
    from loganalyze.detect import detectors

    made = {check.id for check in diagnosis.checks}
    found: dict[str, Threshold] = {}
    for detector in detectors():
        if detector.id in made:
            for field in fields(detector.settings):
                name = f"{detector.group}.{field.name}"
                value = str(diagnosis.settings.get(name, field.default))
                unit, source = field.metadata.get("unit", ""), field.metadata.get("source", "")
                found[name] = Threshold(name, value, str(field.default), unit, source)
    return tuple(found[name] for name in sorted(found))
