"""Raw text: whatever a training printed. Numbers become rows, known lines become events.

The step of a record is, in this order: what the line says; its place in the epoch (``Epoch:
[3][100/5005]`` is step 3 * 5005 + 100); the training's progress bar; the epoch; a count.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from loganalyze.ingest import text_config, text_metrics
from loganalyze.ingest.ingester import Facts, Ingester, Table, relative
from loganalyze.ingest.text_events import Collector
from loganalyze.ingest.text_lines import Line, decode, lines
from loganalyze.ingest.text_metrics import TQDM, Record
from loganalyze.names import canonical
from loganalyze.run import ConfigValue, EventKind, Problem, Status, metrics_frame

if TYPE_CHECKING:
    import pandas as pd

LOG_NAME = re.compile(
    r"\.(?:log|out|err|stdout|stderr|jsonl|txt)$|\.o\d+$|^workerlog\.\d+$|^nohup|^slurm-|^stdout|^output"
)
NOT_A_LOG = re.compile(
    r"^(?:readme|requirements|license|licence|changelog|vocab|merges|notice|authors|added_tokens|environment)|"
    r"\.(?:py|md|rst|ya?ml|toml|cfg|ini|html?|csv|tsv|json|xml|ipynb|sh|js|css|pyc|bin|pt|pth|safetensors|"
    r"npy|npz|pkl|png|jpe?g|gz|zip|tar|model|lock)$", re.I
)  # fmt: skip
_METRIC_LINE = re.compile(rb"loss\W{1,4}[\d.]|'loss'|\"loss\"|Traceback \(most recent", re.I)


def claims(path: Path, head: bytes) -> bool:
    """Tell whether this is text that a training may have printed."""
    if not head:
        return False
    is_utf16 = head[:2] in (b"\xff\xfe", b"\xfe\xff")
    if b"\0" in head and not is_utf16:
        return False
    if NOT_A_LOG.search(path.name):
        return False
    return bool(LOG_NAME.search(path.name)) or bool(_METRIC_LINE.search(head))


def read(path: Path, root: Path) -> list[Table]:
    """Read one log into one table."""
    text, problems = decode(path.read_bytes())
    source = relative(path, root)
    reader = Reader(source)
    for line in lines(text):
        reader.feed(line)
    metrics = reader.metrics()
    problems += reader.problems
    if not len(metrics) and not reader.collector.events:
        if not LOG_NAME.search(path.name):
            return []
        problems.append(Problem("no metric was recognised in it", lossy=False))
    return [
        Table(
            source=source,
            format="text",
            run=relative(path.parent, root) if path != root else ".",
            metrics=metrics,
            config=reader.config,
            events=tuple(reader.collector.events),
            problems=tuple(problems),
            facts=reader.facts(),
        )
    ]


@dataclass(slots=True)
class _Seen:
    """A record with its place: row, wall time, and the progress bar before it."""

    record: Record
    row: int
    time: float
    bar: tuple[int, int] | None


@dataclass
class Reader:
    """Reads a log line by line; `metrics` lays out what was seen."""

    source: str
    config: dict[str, ConfigValue] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    seen: list[_Seen] = field(default_factory=list)
    bars: Counter[int] = field(default_factory=Counter)
    others: int = 0  # metric lines of ranks above 0
    _bar: tuple[int, int] | None = None
    _epoch: tuple[float, int | None] | None = None

    def __post_init__(self) -> None:
        self.collector = Collector(self.source)

    def feed(self, line: Line) -> None:
        """Take in one line."""
        self._progress(line)
        if self.collector.feed(line, len(self.seen)):
            return
        is_dump = text_config.is_dump(line.text)
        records = [] if is_dump else text_metrics.parse(line.text, line.bare)
        if not records:
            self._header(line)
            return
        if line.rank:
            self.others += 1
            return
        for record in records:
            self._take(record, line)

    def _progress(self, line: Line) -> None:
        for found in TQDM.finditer(line.text):
            self._bar = (int(found[1]), int(found[2]))
            self.bars[self._bar[1]] += 1

    def _header(self, line: Line) -> None:
        """Remember an epoch that stands on a line of its own, and printed settings."""
        text = line.bare
        if "poch" in text and len(text) < 200:
            found = text_metrics._EPOCH.search(text)
            if found:
                self._epoch = (float(found[1]), int(found[2]) if found[2] else None)
        if "=" in text or ":" in text or "..." in text:
            for key, value in text_config.settings(text, f"{self.source}:{line.row}").items():
                self.config.setdefault(key, value)

    def _take(self, record: Record, line: Line) -> None:
        if record.is_summary:
            self.collector.add(
                EventKind.TRAIN_END,
                "the Trainer printed its summary: training ended as it should",
                line.row,
                len(self.seen),
            )
            return
        if record.epoch is None and self._epoch is not None and not record.is_dict:
            record.epoch, record.epochs = self._epoch
        placed = record.step is not None or record.epoch is not None or record.is_dict
        if not placed and self._bar is None:
            return  # a number without any place in the run is prose
        self.seen.append(_Seen(record, line.row, line.time, self._bar))

    def facts(self) -> Facts:
        """Return what the log says about the run as a whole."""
        records = [item.record for item in self.seen]
        planned = next((r.total for r in records if r.total), None)
        if planned is None and any(record.is_dict for record in records):
            planned = self._training_bar()
        ended = any(event.kind is EventKind.TRAIN_END for event in self.collector.events)
        is_hf = sum(record.is_dict and "loss" in record.values for record in records) >= 2
        return Facts(
            framework="hf-trainer" if is_hf else None,
            status=Status.COMPLETED if ended else None,
            planned_steps=planned,
            planned_epochs=next((float(r.epochs) for r in records if r.epochs), None),
        )

    def _training_bar(self) -> int | None:
        """The total of the progress bar that moved most: the training's, not an evaluation's."""
        return self.bars.most_common(1)[0][0] if self.bars else None

    def metrics(self) -> pd.DataFrame:
        """Lay out the records as rows."""
        self.collector_problems()
        steps = self._steps()
        self._place_events(steps)
        name, step, epoch, time, value, row, segment = [], [], [], [], [], [], []
        restarts, last = 0, dict[str, int]()
        for item, at in zip(self.seen, steps, strict=True):
            fallen = [k for k in item.record.values if last.get(k, -1) > at >= 0]
            if fallen and len(fallen) == len(item.record.values):
                restarts += 1
                last.clear()
            for key, number in item.record.values.items():
                last[key] = at
                name.append(key)
                step.append(at)
                epoch.append(float("nan") if item.record.epoch is None else item.record.epoch)
                time.append(item.time)
                value.append(number)
                row.append(item.row)
                segment.append(restarts)
        known = {key: canonical(key) for key in set(name)}
        return metrics_frame(
            {
                "metric": [known[key] for key in name],
                "step": step,
                "epoch": epoch,
                "time": time,
                "value": value,
                "segment": segment,
                "source": [self.source] * len(step),
                "row": row,
                "name": name,
            }
        )

    def _place_events(self, steps: list[int]) -> None:
        """Turn the number of records before each event into the step of the last of them."""
        self.collector.events = [
            replace(event, step=steps[event.step - 1] if event.step else None)
            for event in self.collector.events
        ]

    def collector_problems(self) -> None:
        """Close the events and say what was left out."""
        self.problems += self.collector.finish(len(self.seen))
        if self.others:
            text = f"{self.others:,} metric lines of ranks above 0 were left out: rank 0 has them"
            self.problems.append(Problem(text, lossy=False))

    def _steps(self) -> list[int]:
        records = [item.record for item in self.seen]
        inner = next((r.inner[1] for r in records if r.inner), None)
        base = min((r.epoch for r in records if r.epoch is not None), default=0.0)
        bar = self._training_bar()
        interval = self.config.get("logging_steps")
        every = interval.value if interval and isinstance(interval.value, int) else 1
        steps: list[int] = []
        counted, previous, lines_with_loss = 0, -1, 0
        for item in self.seen:
            record = item.record
            lines_with_loss += "loss" in record.values
            if record.step is not None:
                at = record.step
            elif record.inner is not None and record.epoch is not None:
                at = int(record.epoch - base) * record.inner[1] + record.inner[0]
            elif record.is_dict and item.bar is not None and item.bar[1] == bar:
                at = item.bar[0]
            elif record.is_dict:
                counted += 1
                at = max(lines_with_loss, 1) * every
            elif record.epoch is not None and inner is not None:
                at = (int(record.epoch - base) + 1) * inner
            elif record.epoch is not None:
                at = int(record.epoch)
            else:
                counted += 1
                at = counted
            steps.append(at)
            previous = at
        if counted and previous >= 0:
            self.problems.append(
                Problem("no step in some lines: they were counted instead", lossy=False)
            )
        return steps


INGESTER = Ingester("text", claims, read)
