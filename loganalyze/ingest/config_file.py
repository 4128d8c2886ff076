"""Configuration files beside a log: JSON and YAML, flattened to dotted keys."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from loganalyze.ingest.ingester import Ingester, Table, relative
from loganalyze.run import ConfigValue

MAX_BYTES = 1_000_000  # a configuration is small; more is data
MAX_ALIASES = 100  # YAML aliases beyond this are a decompression bomb, not a configuration
MAX_KEYS = 2_000
NAMES = frozenset(
    {"config.json", "training_args.json", "args.json", "adapter_config.json", "hparams.yaml",
     "params.yaml", "params.yml", "config.yaml", "config.yml", "training.yaml", "training.yml",
     "ds_config.json", "args.yaml", "hparams.yml"}
)  # fmt: skip
_LEAF_FOLDERS = re.compile(r"^(?:checkpoint-\d+|\.hydra|files)$")


def claims(path: Path, head: bytes) -> bool:
    """Tell whether this is a configuration file, by its name."""
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
    loaded = _json(data) if path.suffix == ".json" else _yaml(data)
    if not isinstance(loaded, dict):
        raise ValueError("holds no mapping of names to values")  # noqa: TRY004 - bad data
    source = relative(path, root)
    flat = dict(list(flatten(loaded).items())[:MAX_KEYS])
    labels = loaded.get("id2label")
    if isinstance(labels, dict) and "num_labels" not in flat:
        flat["num_labels"] = len(labels)
    config = {
        key: ConfigValue(value, f"{source}: {key}")
        for key, value in flat.items()
        if not key.startswith(("id2label.", "label2id."))
    }
    return [Table(source=source, format="config", run=_run_key(path, root), config=config)]


def flatten(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested mappings to dotted keys; short lists become text.

    The form ``{key: {value: x, desc: y}}`` that Weights & Biases writes is unwrapped.
    """
    flat: dict[str, Any] = {}
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, dict) and "value" in item and set(item) <= {"value", "desc"}:
            item = item["value"]
        if isinstance(item, dict):
            flat.update(flatten(item, f"{name}."))
        elif item is None or isinstance(item, (bool, int, float)):
            flat[name] = item
        elif isinstance(item, str):
            flat[name] = item[:500]
        elif isinstance(item, list) and len(item) <= 8:
            flat[name] = ", ".join(str(part)[:60] for part in item)
    return flat


def _json(data: bytes) -> Any:
    import orjson

    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"no JSON: {error}") from None


def _yaml(data: bytes) -> Any:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        aliases = sum(isinstance(event, yaml.AliasEvent) for event in yaml.parse(data, loader))
        if aliases > MAX_ALIASES:
            raise ValueError(f"{aliases:,} YAML aliases: not read")
        loaded = yaml.load(data, loader)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        raise ValueError(f"no YAML: {str(error).splitlines()[0]}") from None
    return _numbers(loaded)


def _numbers(value: Any) -> Any:
    """YAML 1.1 reads ``1e-5`` as text; everybody who writes it means the number."""
    if isinstance(value, dict):
        return {str(key): _numbers(item) for key, item in value.items()}
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d+(?:\.\d*)?[eE][-+]?\d+", value):
        return float(value)
    return value


def _run_key(path: Path, root: Path) -> str:
    if path == root:
        return "."
    folder = path.parent
    if _LEAF_FOLDERS.match(folder.name) and folder != root:
        folder = folder.parent
    return relative(folder, root)


INGESTER = Ingester("config", claims, read)
