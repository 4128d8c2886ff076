"""Configuration files beside a log: JSON and YAML, flattened to dotted keys."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from loganalyze.ingest.ingester import Ingester, Table, relative
from loganalyze.run import ConfigValue, Scalar

MAX_BYTES = 1_000_000  # a configuration is small; more is data
MAX_ALIASES = 100  # YAML aliases beyond this are a decompression bomb, not a configuration
MAX_NODES = 100_000  # values after every alias is written out; a bomb needs few aliases
MAX_DEPTH = 50  # levels; the loaders recurse, the one in C until the stack is gone
MAX_INTEGER = 2**63  # what databases, JSON readers and floats can take
MAX_KEYS = 2_000
MAX_LIST = 8  # elements of a list that is shown as text
MAX_TEXT = 500  # characters of a value
NAMES = frozenset(
    {"config.json", "training_args.json", "args.json", "adapter_config.json", "hparams.yaml",
     "params.yaml", "params.yml", "config.yaml", "config.yml", "training.yaml", "training.yml",
     "ds_config.json", "args.yaml", "hparams.yml"}
)  # fmt: skip
_DEEPSPEED = (b'"train_micro_batch_size_per_gpu"', b'"zero_optimization"')
_EXPONENT = re.compile(r"[-+]?\d+(?:\.\d*)?[eE][-+]?\d+")
_LEAF_FOLDERS = re.compile(r"^(?:checkpoint-\d+|\.hydra|files)$")


def claims(path: Path, head: bytes) -> bool:
    """Tell whether this is a configuration file, by its name or by DeepSpeed's keys."""
    if path.suffix == ".json" and any(key in head for key in _DEEPSPEED):
        return True
    return bool(head) and path.name in NAMES


def read(path: Path, root: Path) -> list[Table]:
    """Read one configuration file.

    Raises
    ------
    ValueError
        If it is too large, or no JSON or YAML mapping.
    """
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES:,} bytes: not read as a configuration")
    data = path.read_bytes()
    loaded = _json(data) if path.suffix == ".json" else load_yaml(data)
    if not isinstance(loaded, dict):
        raise ValueError("holds no mapping of names to values")  # noqa: TRY004 - bad data
    source = relative(path, root)
    labels = loaded.get("id2label")
    flat = flatten({k: v for k, v in loaded.items() if k not in {"id2label", "label2id"}})
    if isinstance(labels, dict) and labels:
        flat.setdefault("num_labels", len(labels))
    config = {
        key: ConfigValue(value, f"{source}: {key}") for key, value in list(flat.items())[:MAX_KEYS]
    }
    return [Table(source=source, format="config", run=run_key(path, root), config=config)]


def flatten(value: dict[str, Any], prefix: str = "") -> dict[str, Scalar]:
    """Flatten nested mappings to dotted keys; short lists become text.

    The form ``{key: {value: x, desc: y}}`` that Weights & Biases writes is unwrapped.
    """
    flat: dict[str, Scalar] = {}
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
