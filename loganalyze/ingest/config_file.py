"""Configuration files beside a log: JSON, YAML, TOML and printed arguments, as dotted keys."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from loganalyze.ingest.config_claims import DEEPSPEED, MAX_BYTES, claims, order
from loganalyze.ingest.config_text import overrides, printed_settings
from loganalyze.ingest.ingester import Ingester, Table, relative
from loganalyze.run import ConfigValue, Scalar

MAX_ALIASES = 100  # YAML aliases beyond this are a decompression bomb, not a configuration
MAX_NODES = 100_000  # values after every alias is written out; a bomb needs few aliases
MAX_DEPTH = 50  # levels; the loaders recurse, the one in C until the stack is gone
MAX_DOTS = 1_000  # in a line of TOML; the time for a dotted key grows faster than its square
MAX_INTEGER = 2**63  # what databases, JSON readers and floats can take
MAX_KEYS = 2_000
MAX_LIST = 8  # elements of a list that is shown as text
MAX_TEXT = 500  # characters of a value
_EXPONENT = re.compile(r"[-+]?\d+(?:\.\d*)?[eE][-+]?\d+")
_LABELS = ("id2label", "label2id")  # a name for each class
_LEAF_FOLDERS = re.compile(r"^(?:checkpoint-\d+|\.hydra|files)$")


def read(path: Path, root: Path) -> list[Table]:
    """Read one configuration file.

    Raises
    ------
    ValueError
        If it is too large, or holds no names with values.
    """
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES:,} bytes: not read as a configuration")
    loaded = _load(path, path.read_bytes())
    if not isinstance(loaded, dict):
        raise ValueError("holds no mapping of names to values")  # noqa: TRY004 - bad data
    source = relative(path, root)
    flat = flatten({k: v for k, v in loaded.items() if k not in _LABELS})
    labels = [loaded[key] for key in _LABELS if isinstance(loaded.get(key), dict)]
    if any(labels):
        flat.setdefault("num_labels", max(map(len, labels)))
    if DEEPSPEED & set(loaded):
        # The Trainer fills in what is "auto": its own arguments hold the number.
        flat = {key: value for key, value in flat.items() if value != "auto"}
    config = {
        key: ConfigValue(value, f"{source}: {key}") for key, value in list(flat.items())[:MAX_KEYS]
    }
    return [
        Table(
            source=source,
            format="config",
            run=run_key(path, root),
            config=config,
            order=order(path),
        )
    ]


def _load(path: Path, data: bytes) -> Any:
    if path.suffix == ".json" or (path.suffix == ".txt" and data.lstrip()[:1] == b"{"):
        return _json(data)
    if path.suffix == ".txt":
        return printed_settings(data.decode("utf-8", "replace"))
    if path.suffix == ".toml":
        return _toml(data)
    loaded = load_yaml(data)
    return overrides(loaded) if isinstance(loaded, list) else loaded


def flatten(value: dict[str, Any], prefix: str = "") -> dict[str, Scalar]:
    """Flatten nested mappings to dotted keys; short lists become text.

    The form ``{key: {value: x, desc: y}}`` that Weights & Biases writes is unwrapped. What is
    nested deeper than `MAX_DEPTH` is left out.
    """
    flat: dict[str, Scalar] = {}
    if prefix.count(".") > MAX_DEPTH:
        return flat
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, dict) and "value" in item and set(item) <= {"value", "desc"}:
            item = item["value"]
        if isinstance(item, dict):
            flat.update(flatten(item, f"{name}."))
        elif isinstance(item, list) and len(item) <= MAX_LIST:
            flat[name] = ", ".join(str(part)[:60] for part in item)
        elif item is None or isinstance(item, (bool, int, float, str)):
            flat[name] = _scalar(item)
    return flat


def _scalar(value: Scalar) -> Scalar:
    if isinstance(value, int) and abs(value) >= MAX_INTEGER:
        return hex(value)[:MAX_TEXT]
    if not isinstance(value, str):
        return value
    # YAML 1.1 reads `1e-5` as text; everybody who writes it means the number.
    return float(value) if _EXPONENT.fullmatch(value) else value[:MAX_TEXT]


def _json(data: bytes) -> Any:
    import orjson

    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"no JSON: {error}") from None


def _toml(data: bytes) -> Any:
    import tomllib

    if any(line.count(b".") > MAX_DOTS for line in data.split(b"\n")):
        raise ValueError(f"no TOML of settings: a line with more than {MAX_DOTS:,} dots")
    try:
        return tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no TOML: {error}") from None


def load_yaml(data: bytes) -> Any:
    """Load YAML from a hostile file: no objects are made, and no alias or nesting explodes.

    Raises
    ------
    ValueError
        If it is no YAML, or more than a configuration would hold.
    """
    import yaml

    try:
        _check_events(data)
        loaded = yaml.load(data, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"no YAML: {str(error).partition(chr(10))[0]}") from None
    if _expanded(loaded, {}) > MAX_NODES:
        raise ValueError(f"YAML that expands to more than {MAX_NODES:,} values: not read")
    return loaded


def _check_events(data: bytes) -> None:
    """Count aliases and levels before anything is built."""
    import yaml

    aliases = depth = 0
    for event in yaml.parse(data, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        aliases += isinstance(event, yaml.AliasEvent)
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if aliases > MAX_ALIASES or depth > MAX_DEPTH:
            raise ValueError(f"YAML with {aliases:,} aliases, nested {depth} deep: not read")


def _expanded(value: Any, known: dict[int, float]) -> float:
    """Count the values that `value` stands for; infinite where it holds itself."""
    if not isinstance(value, (dict, list)):
        return 1
    if id(value) not in known:
        known[id(value)] = float("inf")
        parts = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_expanded(part, known) for part in parts)
    return known[id(value)]


def run_key(path: Path, root: Path) -> str:
    """Return the run that a file of settings belongs to: its folder, or the one above a leaf."""
    if path == root:
        return "."
    folder = path.parent
    if _LEAF_FOLDERS.match(folder.name) and folder != root:
        folder = folder.parent
    return relative(folder, root)


INGESTER = Ingester("config", claims, read)
