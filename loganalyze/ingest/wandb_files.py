"""The small files beside a W&B record file: the command line, and the last values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loganalyze.ingest.ingester import Facts, Table, relative
from loganalyze.ingest.text_config import scalar
from loganalyze.ingest.wandb_columns import load_value
from loganalyze.run import ConfigValue, Problem, Scalar, Status

MAX_BYTES = 1_000_000  # of a JSON file beside the records; more is data
MAX_ARGUMENTS = 2_000
# ``state`` stays at "running" where nobody updates the file: only an end is worth believing.
_STATUS = {
    "finished": Status.COMPLETED,
    **dict.fromkeys(("failed", "crashed", "killed"), Status.CRASHED),
}
_OPTION = re.compile(r"^--?(?P<name>[A-Za-z_][\w.-]*)(?:=(?P<value>.*))?$", re.DOTALL)
_ASSIGNMENT = re.compile(r"^\+{0,2}(?P<name>[A-Za-z_][\w./-]*)=(?P<value>.*)$", re.DOTALL)


def command_settings(arguments: Sequence[str]) -> dict[str, Scalar]:
    """Return the settings of a command line: ``--lr 1e-5``, ``--lr=1e-5``, ``lr=1e-5``, ``--bf16``."""
    settings: dict[str, Scalar] = {}
    open_option = None
    for argument in arguments[:MAX_ARGUMENTS]:
        option, assigned = _OPTION.match(argument), _ASSIGNMENT.match(argument)
        if option:
            open_option = option["name"].replace("-", "_")
            value = option["value"]
            settings[open_option] = True if value is None else scalar(value)
            open_option = open_option if value is None else None
        elif assigned:
            settings[assigned["name"]] = scalar(assigned["value"])
            open_option = None
        elif open_option:
            settings[open_option] = scalar(argument)
            open_option = None
    return settings


def read_metadata(path: Path, root: Path, run: str) -> list[Table]:
    """Read ``wandb-metadata.json``: command line, start, and how the run ended if it says so.

    Raises
    ------
    ValueError
        If it is too large or no JSON object.
    """
    loaded = _load(path)
    source = relative(path, root)
    arguments = loaded.get("args")
    known = (
        command_settings([str(item) for item in arguments]) if isinstance(arguments, list) else {}
    )
    config = {key: ConfigValue(value, f"{source}: args") for key, value in known.items()}
    facts = Facts(status=_STATUS.get(str(loaded.get("state"))), started=_started(loaded))
    return [Table(source=source, format="wandb-metadata", run=run, config=config, facts=facts)]


def read_summary(path: Path, root: Path, run: str) -> list[Table]:
    """Say what ``wandb-summary.json`` holds where there is nothing else: last values, no curve.

    Raises
    ------
    ValueError
        If it is too large or no JSON object.
    """
    values = [key for key in _load(path) if not key.startswith("_")]
    text = f"only the last values of {len(values):,} metrics: no points were made of them"
    problems = (Problem(text, lossy=False),) if values else ()
    return [Table(source=relative(path, root), format="wandb-summary", run=run, problems=problems)]


def _load(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES:,} bytes: not read")
    loaded = load_value(path.read_bytes())
    if not isinstance(loaded, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - bad data, not a bad argument
    return loaded


def _started(metadata: dict[str, Any]) -> float | None:
    try:
        told = datetime.fromisoformat(str(metadata.get("startedAt")))
    except ValueError:
        return None
    return (told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp()
