"""TensorBoard event files: every scalar point, the arguments in the text plugin, the hparams.

Scalars come as ``simple_value`` (PyTorch, tensorboardX, TensorFlow 1) or as tensors of one
element (TensorFlow 2, Keras). Nothing is sampled. ``row`` is the 1-based number of the record.

Every checksum is verified, those of images and histograms too: at several GB/s that costs less
than reading them from a disk. What they hold is not decoded, and the memory of a file of any size
stays that of one window of it (`tf_windows.WINDOW_BYTES`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from loganalyze.ingest.config_file import flatten
from loganalyze.ingest.ingester import Facts, Ingester, Table, relative
from loganalyze.ingest.tf_event import MAX_SETTINGS
from loganalyze.ingest.tf_points import KERAS_EPOCH, SUMMARY_TAG, Points, points_frame, read_points
from loganalyze.ingest.tfrecord import HEADER, RecordFile, framed, is_record_file
from loganalyze.run import ConfigValue, Event, EventKind, Problem, Where

if TYPE_CHECKING:
    import pandas as pd

_SPLIT_FOLDERS = {"train": "train/", "validation": "validation/", "eval": "eval/", "val": "val/",
                  "test": "test/"}  # fmt: skip


def claims(path: Path, head: bytes) -> bool:
    """Tell whether this is an event file, by its first record or by its name."""
    return bool(head) and ("tfevents" in path.name or is_record_file(head))


def read(path: Path, root: Path) -> list[Table]:
    """Read one event file into one table.

    Raises
    ------
    OSError
        If it cannot be opened.
    ValueError
        If it is empty, or no event file.
    """
    source = relative(path, root)
    file = RecordFile(path)
    points = read_points(file)
    events, problems = points.events, points.problems
    if events.first is None and problems and not is_record_file(bytes(file.view[:HEADER])):
        raise ValueError("no TensorBoard event file, in spite of its name")
    run, prefix = _run_key(path, root)
    metrics = points_frame(points, source, prefix)
    config = _config(events.texts, source)
    if events.oversized:
        text = f"settings over {MAX_SETTINGS:,} bytes were left out (texts: {events.oversized:,})"
        problems.append(Problem(text))
    if events.hparams:
        config.update(_hparams(events.hparams, source, problems))
    return [
        Table(
            source=source,
            format="tfevents",
            run=run,
            metrics=metrics,
            config=config,
            events=_summary_event(metrics, source),
            problems=tuple(problems),
            facts=Facts(framework=_framework(points)),
            order=events.first[1] if events.first else 0.0,
        )
    ]


def _framework(points: Points) -> str | None:
    """Name the framework where a tag gives it away."""
    if any(tag.startswith("args") for tag in points.events.texts):
        return "hf-trainer"
    return "keras" if any(tag.startswith(KERAS_EPOCH) for tag in points.tags) else None


def _summary_event(metrics: pd.DataFrame, source: str) -> tuple[Event, ...]:
    """Return the end of training that the Hugging Face Trainer logs as its summary."""
    summary = metrics[metrics["name"] == SUMMARY_TAG]
    if summary.empty:
        return ()
    first = summary.iloc[0]
    text = "the Trainer logged its summary: training ended as it should"
    where = Where(source, int(first["row"]))
    return (Event(EventKind.TRAIN_END, text, where, int(first["step"]), float(first["time"])),)


def _config(texts: Mapping[str, str], source: str) -> dict[str, ConfigValue]:
    """Return the settings that the Trainer wrote as JSON into the text plugin."""
    import orjson

    config: dict[str, ConfigValue] = {}
    for tag, text in texts.items():
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


def _hparams(
    payloads: Sequence[bytes], source: str, problems: list[Problem]
) -> dict[str, ConfigValue]:
    """Read the events of the hparams plugin through tbparse, which knows its messages.

    It gets a file of these events alone: it would take every other one into memory.
    """
    try:
        from tbparse import SummaryReader

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "events.out.tfevents.hparams"
            path.write_bytes(b"".join(map(framed, payloads)))
            frame = SummaryReader(str(path)).hparams
    except Exception as error:  # noqa: BLE001 - a foreign reader on foreign data
        problems.append(Problem(f"hparams not read: {type(error).__name__}", lossy=False))
        return {}
    if frame.empty:  # it has no columns then
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
