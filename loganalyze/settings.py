"""Settings: every threshold has a name, a default, a unit and a source.

Each detector declares its own settings as a frozen dataclass whose fields are made with
`setting`. `Settings` holds one instance per group and what the user changed; it is built from
(lowest first) defaults, a TOML file, the environment of a project (``[tool.loganalyze]``) and
``--set group.name=value``.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from loganalyze.errors import SettingsError

T = TypeVar("T")

OPTIONS = (
    "select",
    "ignore",
    "given",
    "lang",
)  # what a settings file holds beside groups of thresholds


def setting(default: float | bool | str, *, unit: str, source: str) -> Any:
    """Declare one setting of a detector.

    Parameters
    ----------
    default
        The value used unless the user says otherwise.
    unit
        What the number counts: ``"steps"``, ``"ratio"``, ``"robust standard deviations"``, ...
    source
        Why this value: a reference, a formula or a measurement.
    """
    return field(default=default, metadata={"unit": unit, "source": source})


@dataclass(frozen=True)
class NoSettings:
    """For a detector that has nothing to set."""


@dataclass(frozen=True)
class Settings:
    """All settings of one analysis.

    Attributes
    ----------
    changed
        ``"group.name" -> value`` as the user gave it; everything else has its default.
    select, ignore
        Ids (or prefixes such as ``loss-``) of the checks to make, or to leave out.
    given
        Facts about the run that its log does not hold (``num_classes``, ``learning_rate``).
    """

    changed: Mapping[str, Any] = field(default_factory=dict)
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    given: Mapping[str, str | int | float | bool] = field(default_factory=dict)

    def group(self, name: str, kind: type[T]) -> T:
        """Return the settings of group `name` as an instance of its dataclass `kind`."""
        values: dict[str, Any] = {}
        for entry in dataclasses.fields(kind):  # type: ignore[arg-type]
            key = f"{name}.{entry.name}"
            if key in self.changed:
                values[entry.name] = _cast(key, self.changed[key], entry.default)
        return kind(**values)

    def wants(self, identifier: str) -> bool:
        """Tell whether the check with this id is to be made."""
        chosen = not self.select or any(_matches(identifier, s) for s in self.select)
        return chosen and not any(_matches(identifier, s) for s in self.ignore)


def _matches(identifier: str, pattern: str) -> bool:
    return identifier == pattern or (pattern.endswith("-") and identifier.startswith(pattern))


def _cast(key: str, value: Any, default: Any) -> Any:
    try:
        if isinstance(default, bool):
            text = str(value).strip().lower()
            if text not in {"true", "false", "1", "0", "yes", "no", "on", "off"}:
                raise ValueError(text)
            return text in {"true", "1", "yes", "on"}
        return type(default)(value)
    except (TypeError, ValueError):
        raise SettingsError(
            f"setting {key}={value!r} is not {_article(type(default).__name__)}; "
            f"the default is {default!r}"
        ) from None


def _article(kind: str) -> str:
    return {"int": "an integer", "float": "a number", "bool": "true or false"}.get(kind, "text")


def check_names(changed: Iterable[str], known: Iterable[str]) -> None:
    """Raise `SettingsError` with the nearest name for the first unknown setting."""
    names = sorted(known)
    for key in changed:
        if key not in names:
            near = difflib.get_close_matches(key, names, n=1, cutoff=0.4)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise SettingsError(f"unknown setting {key!r}{hint}")


def parse_assignments(pairs: Iterable[str]) -> dict[str, str]:
    """Turn ``("spike.z=8", ...)`` into a dictionary.

    Raises
    ------
    SettingsError
        If a pair has no ``=`` or no name before it.
    """
    parsed = {}
    for pair in pairs:
        name, mark, value = pair.partition("=")
        if not mark or not name.strip():
            raise SettingsError(f"{pair!r} is not NAME=VALUE (for example spike.z=8)")
        parsed[name.strip()] = value.strip()
    return parsed


def read_toml(path: Path) -> dict[str, Any]:
    """Return the loganalyze table of a TOML file, or an empty one if it holds none.

    ``pyproject.toml`` is read at ``[tool.loganalyze]``, any other file at its top level.
    """
    import tomllib

    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"cannot read settings from {path}: {error}") from None
    if path.name == "pyproject.toml":
        data = data.get("tool", {}).get("loganalyze", {})
    return data


def from_tables(
    table: Mapping[str, Any],
    assignments: Mapping[str, str],
    *,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    given: Mapping[str, str | int | float | bool] | None = None,
) -> Settings:
    """Combine a TOML table with command-line values; the latter win.

    Table keys ``select``, ``ignore``, ``[given]`` and ``lang`` have the meaning of the options of
    the same name; every other sub-table is a group of settings.
    """
    changed: dict[str, Any] = {}
    for group, values in table.items():
        if group in OPTIONS:
            continue
        if not isinstance(values, Mapping):
            near = difflib.get_close_matches(group, OPTIONS, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise SettingsError(f"setting {group!r} must stand in a table: [{group}]{hint}")
        changed.update({f"{group}.{name}": value for name, value in values.items()})
    changed.update(assignments)
    return Settings(
        changed=changed,
        select=tuple(select) or tuple(table.get("select", ())),
        ignore=tuple(ignore) or tuple(table.get("ignore", ())),
        given={**table.get("given", {}), **(given or {})},
    )
