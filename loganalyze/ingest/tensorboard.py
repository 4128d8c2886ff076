"""TensorBoard event files: every scalar point, the arguments in the text plugin, the hparams.

Scalars come as ``simple_value`` (PyTorch, tensorboardX, TensorFlow 1) or as tensors of one
element (TensorFlow 2, Keras). Nothing is sampled. ``row`` is the 1-based number of the record.
"""

from __future__ import annotations

import mmap
import re
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loganalyze.ingest.config_file import flatten
from loganalyze.ingest.ingester import Facts, Ingester, Table, relative
from loganalyze.ingest.tfrecord import (
    BYTES,
    FIXED32,
    FIXED64,
    VARINT,
    fields,
    is_record_file,
    records,
    signed,
)
from loganalyze.names import canonical
from loganalyze.run import ConfigValue, Event, EventKind, Problem, Where, metrics_frame

if TYPE_CHECKING:
    import pandas as pd

_DOUBLE, _FLOAT = struct.Struct("<d"), struct.Struct("<f")
_SPLIT_FOLDERS = {"train": "train/", "validation": "validation/", "eval": "eval/", "val": "val/",
                  "test": "test/"}  # fmt: skip
_HPARAMS = "_hparams_/"
_SUMMARY_TAG = "train/train_runtime"
_SUMMARY_TAGS = re.compile(
    r"^train/(?:train_(?:loss|runtime|samples_per_second|steps_per_second)|total_flos)$"
)

# TensorProto: data type -> (field of the typed values, struct format, numpy type of the content)
_TENSOR_TYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8", 19: "<f2"}
_TYPED_FIELDS = {5: "<f", 6: "<d"}
_TEXT_TYPE = 7


def claims(path: Path, head: bytes) -> bool:
    """Tell whether this is an event file, by its first record or by its name."""
    return bool(head) and ("tfevents" in path.name or is_record_file(head))


def read(path: Path, root: Path) -> list[Table]:
    """Read one event file into one table."""
    source = relative(path, root)
    points = Points()
    problems: list[Problem] = []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        view = memoryview(mapped)
        try:
            for row, payload in records(view, problems):
                try:
                    _event(payload, row, points)
                except (ValueError, struct.error) as error:
                    problems.append(Problem(f"record {row:,} is no event: {error}", row))
                finally:
                    payload.release()
        finally:
            view.release()
    if not points.records and problems and not is_record_file(path.read_bytes()[:64]):
        raise ValueError("no TensorBoard event file, in spite of its name")
    run, prefix = _run_key(path, root)
    events = points.summary_event(source)
    config = _config(points, source)
    if points.has_hparams:
        config.update(_hparams(path, source, problems))
    return [
        Table(
            source=source,
            format="tfevents",
            run=run,
            metrics=points.frame(source, prefix),
            config=config,
            events=events,
            problems=tuple(problems),
            facts=Facts(framework=points.framework()),
            order=points.first_time,
        )
    ]


@dataclass
class Points:
    """The scalars and texts of a file, as they come."""

    tag: list[str] = field(default_factory=list)
    step: list[int] = field(default_factory=list)
    time: list[float] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    row: list[int] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    restarts: list[int] = field(default_factory=list)  # positions where a new session begins
    records: int = 0
    first_time: float = 0.0
    has_hparams: bool = False

    def framework(self) -> str | None:
        """Name the framework where a tag gives it away."""
        if any(tag.startswith("args") for tag in self.texts):
            return "hf-trainer"
        return "keras" if any(tag.startswith("epoch_") for tag in set(self.tag)) else None

    def summary_event(self, source: str) -> tuple[Event, ...]:
        """Return the end of training that the Hugging Face Trainer logs as its summary."""
        if _SUMMARY_TAG not in self.tag:
            return ()
        index = self.tag.index(_SUMMARY_TAG)
        text = "the Trainer logged its summary: training ended as it should"
        where = Where(source, self.row[index])
        return (Event(EventKind.TRAIN_END, text, where, self.step[index], self.time[index]),)

    def frame(self, source: str, prefix: str) -> pd.DataFrame:
        """Return the points as rows; `prefix` names the split that the folder stands for."""
        import numpy as np

        has_summary = _SUMMARY_TAG in self.tag
        names = {}
        for tag in set(self.tag):
            if has_summary and _SUMMARY_TAGS.match(tag):
                names[tag] = f"summary/{tag.removeprefix('train/')}"
            else:
                full = tag if not prefix or tag.startswith(prefix) else f"{prefix}{tag}"
                known = canonical(full)
                names[tag] = known if known != full else canonical(tag) if not prefix else full
        steps = np.asarray(self.step, dtype=np.int64)
        epoch = np.full(len(steps), np.nan)
        keras = np.asarray([tag.startswith("epoch_") for tag in self.tag], dtype=bool)
        if keras.any():
            epoch[keras] = steps[keras]
        return metrics_frame(
            {
                "metric": [names[tag] for tag in self.tag],
                "step": steps,
                "epoch": epoch,
                "time": self.time,
                "value": self.value,
                "segment": self._segments(steps),
                "source": [source] * len(steps),
                "row": self.row,
                "name": self.tag,
            }
        )

    def _segments(self, steps: Any) -> Any:
        """Count restarts: a tag whose step falls back, or a new session."""
        import numpy as np
        import pandas as pd

        if not len(steps):
            return steps
        codes = pd.factorize(np.asarray(self.tag, dtype=object))[0]
        back = np.zeros(len(steps), dtype=bool)
        order = np.argsort(codes, kind="stable")
        same = codes[order][1:] == codes[order][:-1]
        back[order[1:][same & (np.diff(steps[order]) < 0)]] = True
        starts = np.flatnonzero(back)
        # Several tags fall back together at one restart: count the first of each group.
        segment = np.zeros(len(steps), dtype=np.int64)
        last = -1
        for index in starts.tolist():
            if last < 0 or (
                steps[index] < steps[last:index].max(initial=-1)
                and not (codes[index] not in codes[last:index])
            ):
                segment[index:] += 1
                last = index
        return segment


def _event(data: memoryview, row: int, points: Points) -> None:
    time, step = 0.0, 0
    summary: memoryview | None = None
    for number, kind, value in fields(data):
        if number == 1 and kind == FIXED64:
            time = _DOUBLE.unpack(value)[0]  # type: ignore[arg-type]
        elif number == 2 and kind == VARINT:
            step = signed(value)  # type: ignore[arg-type]
        elif number == 5 and kind == BYTES:
            summary = value  # type: ignore[assignment]
    if not points.records:
        points.first_time = time
    points.records += 1
    if summary is None:
        return
    for number, kind, value in fields(summary):
        if number == 1 and kind == BYTES:
            _value(value, row, step, time, points)  # type: ignore[arg-type]


def _value(data: memoryview, row: int, step: int, time: float, points: Points) -> None:
    tag, number_found = "", None
    for number, kind, value in fields(data):
        if number == 1 and kind == BYTES:
            tag = bytes(value).decode("utf-8", "replace")
        elif number == 2 and kind == FIXED32:
            number_found = _FLOAT.unpack(value)[0]  # type: ignore[arg-type]
        elif number == 8 and kind == BYTES:
            content = _tensor(value)  # type: ignore[arg-type]
            if isinstance(content, str):
                points.texts.setdefault(tag, content)
            elif content is not None:
                number_found = content
    if tag.startswith(_HPARAMS):
        points.has_hparams = True
    elif number_found is not None:
        points.tag.append(tag)
        points.step.append(step)
        points.time.append(time)
        points.value.append(number_found)
        points.row.append(row)


def _tensor(data: memoryview) -> float | str | None:
    """Return the one number of a scalar tensor, or the text of a text tensor; else None."""
    kind, size = 0, 1
    content: int | memoryview | None = None
    text: int | memoryview | None = None
    typed: float | None = None
    for number, wire, value in fields(data):
        if number == 1 and wire == VARINT:
            kind = int(value)
        elif number == 2 and wire == BYTES:
            size = _elements(value)  # type: ignore[arg-type]
        elif number == 4 and wire == BYTES:
            content = value
        elif number in _TYPED_FIELDS and wire in (BYTES, FIXED32, FIXED64):
            typed = struct.unpack_from(_TYPED_FIELDS[number], value)[0]  # type: ignore[arg-type]
        elif number in (7, 10) and wire == VARINT:
            typed = float(signed(value))  # type: ignore[arg-type]
        elif number == 8 and wire == BYTES and text is None:
            text = value
    if kind == _TEXT_TYPE:
        return bytes(text).decode("utf-8", "replace") if text is not None else None
    if size != 1 or kind not in _TENSOR_TYPES:
        return None
    if content is not None:
        import numpy as np

        return float(np.frombuffer(bytes(content), _TENSOR_TYPES[kind], count=1)[0])
    return float(typed) if typed is not None else None


def _elements(shape: memoryview) -> int:
    count = 1
    for number, wire, value in fields(shape):
        if number == 2 and wire == BYTES:
            for inner, kind, size in fields(value):  # type: ignore[arg-type]
                if inner == 1 and kind == VARINT:
                    count *= signed(size)  # type: ignore[arg-type]
    return count


def _config(points: Points, source: str) -> dict[str, ConfigValue]:
    """Return the settings that the Trainer wrote as JSON into the text plugin."""
    import orjson

    config: dict[str, ConfigValue] = {}
    for tag, text in points.texts.items():
        if not tag.startswith(("args", "model_config")):
            continue
        start, stop = text.find("{"), text.rfind("}")
        try:
            loaded = orjson.loads(text[start : stop + 1])
        except orjson.JSONDecodeError:
            continue
        for key, value in flatten(loaded).items():
            if not key.startswith(("id2label.", "label2id.")):
                config.setdefault(key, ConfigValue(value, f"{source}: {tag.split('/')[0]}"))
        labels = loaded.get("id2label")
        if isinstance(labels, dict):
            where = f"{source}: {tag.split('/')[0]}"
            config.setdefault("num_labels", ConfigValue(len(labels), where))
    return config


def _hparams(path: Path, source: str, problems: list[Problem]) -> dict[str, ConfigValue]:
    """Read the hparams plugin through tbparse, which knows its messages."""
    try:
        from tbparse import SummaryReader

        frame = SummaryReader(str(path)).hparams
    except Exception as error:  # noqa: BLE001 - a foreign reader on a foreign file
        problems.append(Problem(f"hparams not read: {type(error).__name__}", lossy=False))
        return {}
    return {
        str(tag): ConfigValue(
            value.item() if hasattr(value, "item") else value, f"{source}: hparams"
        )
        for tag, value in zip(frame["tag"], frame["value"], strict=True)
        if not str(tag).startswith("Metrics/")
    }


def _run_key(path: Path, root: Path) -> tuple[str, str]:
    """Return the run that a file belongs to, and the split that its folder stands for."""
    if path == root:
        return ".", ""
    folder, prefix = path.parent, ""
    if folder != root and folder.name in _SPLIT_FOLDERS:
        prefix = _SPLIT_FOLDERS[folder.name]
        folder = folder.parent
    if folder != root and folder.parent.name == "runs" and folder.parent != root.parent:
        home = folder.parent.parent
        has_trainer = any(home.glob("trainer_state.json")) or any(home.glob("checkpoint-*"))
        alone = sum(entry.is_dir() for entry in folder.parent.iterdir()) == 1
        if (has_trainer or alone) and home.is_relative_to(root):
            folder = home
    return relative(folder, root), prefix


INGESTER = Ingester("tfevents", claims, read)
