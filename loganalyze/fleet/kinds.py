"""What the name of a file promises, before anybody looks into it."""

from __future__ import annotations

import re

from loganalyze.fleet.listing import Folder
from loganalyze.ingest.json_history import LINE_FILES
from loganalyze.ingest.stdout import LOG_NAME, NOT_A_LOG

DATABASE = "database"
TEXT = "text"
TFEVENTS = "tfevents"
MLFLOW = "mlflow"
WANDB = "wandb"

_ENDINGS = {
    ".wandb": WANDB, ".db": DATABASE, ".sqlite": DATABASE, ".sqlite3": DATABASE,
    ".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".ipynb": "notebook",
}  # fmt: skip
# A log by any other name: tables and JSON files are settings and data as often as histories.
_HISTORY = re.compile(r"history|metrics|progress|^log|_log|scalars|results", re.I)
# A run of Weights & Biases, as its SDK names the folder.
_WANDB_RUN = re.compile(r"^(?:offline-)?run-\d{8}_\d{6}-.+$")
# Folders that a run makes for itself: its checkpoints, settings, and the splits of its event files.
_PARTS = re.compile(
    r"^(?:checkpoint[-_].*|global_?step[-_]?\d+|epoch[-_=]?\d+.*|\.hydra|"
    r"(?:.*[._-])?(?:local_?|global_?)?rank[_-]?\d{1,6}|attempt_\d+)$",
    re.I,
)
_SPLITS = frozenset({"train", "training", "validation", "val", "valid", "eval", "test"})
_STREAMS = frozenset({"stdout.log", "stderr.log", "error.json"})  # a rank's, as torchrun keeps them
# Folders in which a run keeps one of its formats.
_HOLDERS = re.compile(
    r"^(?:tb|tensorboard\w*|tf_?logs|tf_?events|events|summar(?:y|ies)|logs?|mlruns|wandb|csv_?logs?|runs|stdout|"
    r"output|metrics|history)$",
    re.I,
)
_STORES = frozenset({"mlruns", "wandb"})


def strong(name: str) -> str | None:
    """Return the kind of log that a file is by its name; None for settings, data and code."""
    if name == "trainer_state.json":
        return "hf-trainer-state"
    if "tfevents" in name:
        return TFEVENTS
    kind = _ENDINGS.get(_ending(name))
    if kind in (WANDB, DATABASE):
        return kind
    if kind in ("csv", "json"):
        return kind if name in LINE_FILES or _HISTORY.search(name) else None
    is_text = LOG_NAME.search(name) and not name.endswith(".txt")
    return TEXT if is_text and not NOT_A_LOG.search(name) else None


def weak(name: str) -> bool:
    """Tell whether a file may be a log all the same."""
    return _ending(name) in _ENDINGS or (bool(LOG_NAME.search(name)) and not NOT_A_LOG.search(name))


def _ending(name: str) -> str:
    return f".{name.rpartition('.')[2].lower()}"


def claimed(folder: Folder) -> str | None:
    """Return the format of which a whole folder is one run: MLflow's and that of Weights & Biases."""
    below = {item.name for item in folder.folders}
    if below & {"metrics", "params"} and any(file.name == "meta.yaml" for file in folder.files):
        return MLFLOW
    if "files" in below and (
        _WANDB_RUN.match(folder.name) or any(file.name.endswith(".wandb") for file in folder.files)
    ):
        return WANDB
    return None


def is_part(folder: Folder) -> bool:
    """Tell whether a folder belongs to the run in the folder above it."""
    if _PARTS.match(folder.name):
        return True
    names = {file.name for file in folder.files}
    if folder.name in _SPLITS:
        return bool(names) and all("tfevents" in name for name in names)
    return folder.name.isdigit() and bool(names) and names <= _STREAMS


def is_holder(path: str) -> bool:
    """Tell whether a folder is named like one that keeps one format of a run, or is a store's own inside one.

    MLflow and W&B put the run into folders of their own below theirs.
    """
    first, *rest = path.split("/")
    return bool(_HOLDERS.match(first)) and (not rest or first in _STORES)
