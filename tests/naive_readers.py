"""The plainest possible readers, one per format: an independent count of what a file holds.

They share nothing with the package. Each returns name -> values in the order of the file.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from pathlib import Path

Curves = dict[str, list[float]]


def trainer_state(path: Path) -> Curves:
    curves: Curves = {}
    for entry in json.loads(path.read_text())["log_history"]:
        if "step" not in entry or "train_runtime" in entry:
            continue
        for name, value in entry.items():
            if name not in {"step", "epoch"} and isinstance(value, (int, float)):
                curves.setdefault(name, []).append(float(value))
    return curves


def event_file(path: Path) -> Curves:
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.util import tensor_util

    curves: Curves = {}
    for event in EventFileLoader(str(path)).Load():
        for value in event.summary.value:
            array = tensor_util.make_ndarray(value.tensor) if value.HasField("tensor") else None
            is_number = array is not None and array.size == 1 and array.dtype.kind in "fiu"
            if is_number and not value.tag.startswith("_hparams_/"):
                curves.setdefault(value.tag, []).append(float(array.reshape(())))
    return curves


def mlflow_metrics(folder: Path) -> Curves:
    curves: Curves = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            lines = [line.split() for line in path.read_text().splitlines() if line.strip()]
            curves[path.relative_to(folder).as_posix()] = [float(line[1]) for line in lines]
    return curves


def table(path: Path) -> Curves:
    curves: Curves = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file, skipinitialspace=True):
            for name, cell in row.items():
                if name and cell and cell.strip():
                    try:
                        curves.setdefault(name.strip(), []).append(float(cell))
                    except ValueError:
                        continue
    return curves


def json_lines(path: Path) -> Curves:
    curves: Curves = {}
    for line in path.read_text().splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        for name, value in entry.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                curves.setdefault(name, []).append(float(value))
    return curves


_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def matches(path: Path, pattern: str) -> list[float]:
    """Return what `pattern` captures as ``loss``; of those with one ``at`` only the last."""
    text = _COLOURS.sub("", path.read_bytes().decode("utf-8", "replace"))
    found: dict[object, float] = {}
    for number, line in enumerate(re.split(r"[\r\n]+", text)):
        for hit in re.finditer(pattern, line):
            groups = hit.groupdict()
            places = tuple(value for key, value in groups.items() if key.startswith("at"))
            key: object = places or (number, hit.start())
            found.pop(key, None)
            found[key] = float(groups["loss"])
    return list(found.values())


def same(ours: Iterable[float], theirs: Iterable[float]) -> bool:
    """Tell whether two lists agree in number, first and last; NaN is NaN."""
    one, two = list(ours), list(theirs)
    if len(one) != len(two):
        return False
    ends = [(one[k], two[k]) for k in (0, -1)] if one else []
    return all(a == b or (a != a and b != b) or abs(a - b) <= 1e-6 * abs(b) for a, b in ends)
