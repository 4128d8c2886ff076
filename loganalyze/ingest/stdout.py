"""Raw text: whatever a training printed. Numbers become rows, known lines become events."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from loganalyze.ingest import text_config, text_metrics
from loganalyze.ingest.ingester import Facts, Ingester, Table, relative
from loganalyze.ingest.text_events import Collector
from loganalyze.ingest.text_lines import Line, decode, lines
from loganalyze.ingest.text_metrics import TQDM, Record
from loganalyze.ingest.text_steps import Bar, Placed, Seen, place, training_bar
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
FEWEST_LOOSE = 10  # losses without any step that make a curve; fewer may be prose
MOST_RESTARTS = 20  # more than anybody starts one run again: several runs share the log
LONGEST_HEADER = 200  # characters; an epoch named in a longer line is part of prose
_KERAS_LINE = re.compile(r"^\s*\d+/\d+ .*(?:ETA: |\d[mu]?s/(?:step|sample))")
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
    for line in lines(text, problems):
        reader.feed(line)
    metrics = reader.metrics()
    problems += reader.problems
    if not len(metrics) and not reader.collector.events:
        if path.suffix not in {".log", ".out"}:
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


@dataclass
class Reader:
    """Reads a log line by line; `metrics` lays out what was seen."""

    source: str
    config: dict[str, ConfigValue] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    framework: str | None = None
    loose: list[Seen] = field(default_factory=list)  # losses without any place in the run
    _bar: Bar | None = None
    _length: int = 0  # steps of an epoch, where each counts its own: no total of the run
    _since_bar: int = 0  # records before this one had a progress bar after them
    _epoch: tuple[float, int | None] | None = None

    def __post_init__(self) -> None:
        self.collector = Collector(self.source)

    def feed(self, line: Line) -> None:
        """Take in one line."""
        on_line = self._progress(line)
        if self.collector.feed(line, len(self.seen)):
            return
        records = []
        if not text_config.is_dump(line.bare):
            records = text_metrics.parse(line.text, line.bare)
        if not [record for record in records if self._take(record, line, on_line)]:
            self._header(line)

    def _progress(self, line: Line) -> bool:
        """Remember the progress bar on this line; the records before it stand between two."""
        found = None
        for found in TQDM.finditer(line.text) if "/s" in line.text or "s/it" in line.text else ():
            self._bar = (int(found[1]), int(found[2]))
        if found is None:
            return False
        for item in self.seen[self._since_bar :]:
            item.after = self._bar
        self._since_bar = len(self.seen)
        return True

    def _header(self, line: Line) -> None:
        """Remember an epoch that stands on a line of its own, and printed settings."""
        text = line.bare
        if "poch" in text and len(text) < LONGEST_HEADER:
            found = text_metrics.EPOCH.search(text)
            if found:
                self._epoch = (float(found[1]), int(found[2]) if found[2] else None)
        if "=" in text or ":" in text or "..." in text:
            for key, value in text_config.settings(text, f"{self.source}:{line.row}").items():
                self.config.setdefault(key, value)

    def _take(self, record: Record, line: Line, on_line: bool) -> bool:
        """Keep a record that has a place in the run; any other number is prose."""
        if record.is_summary:
            text = "the Trainer printed its summary: training ended as it should"
            self.collector.add(EventKind.TRAIN_END, text, line.row, len(self.seen))
            return True
        if record.epoch is None and self._epoch is not None and not record.is_dict:
            record.epoch, record.epochs = self._epoch
        placed = record.is_dict or on_line or record.inner is not None
        if not placed and record.step is None and record.epoch is None:
            self.loose.append(Seen(record, line.row, line.time, line.rank))
            return False
        self.framework = self.framework or _framework(record, line.bare)
        bar = self._bar
        self.seen.append(Seen(record, line.row, line.time, line.rank, bar, None, on_line))
        return True

    def facts(self) -> Facts:
        """Return what the log says about the run as a whole."""
        records = [item.record for item in self.seen]
        planned = None if self._length else next((r.total for r in records if r.total), None)
        if planned is None and any(record.is_dict for record in records):
            planned = training_bar(self.seen)
        ended = any(event.kind is EventKind.TRAIN_END for event in self.collector.events)
        return Facts(
            framework=self.framework,
            status=Status.COMPLETED if ended else None,
            planned_steps=planned,
            planned_epochs=next((float(r.epochs) for r in records if r.epochs), None),
        )

    def metrics(self) -> pd.DataFrame:
        """Lay out the records as rows, and put the events in their places."""
        self.problems += self.collector.finish(len(self.seen))
        if not self.seen:
            self.seen = _curve(self.loose)
        kept = self._kept()
        interval = self.config.get("logging_steps")
        every = interval.value if interval and isinstance(interval.value, int) else 1
        placed = place([self.seen[index] for index in kept], max(every, 1))
        if placed.counted:
            text = "no step in some lines: they were counted instead"
            self.problems.append(Problem(text, lossy=False))
        restarts = max(placed.segments, default=0)
        if restarts > MOST_RESTARTS:
            text = f"steps fall back {restarts:,} times: several runs seem to share this log"
            self.problems.append(Problem(text))
        self._length = placed.length
        self._place_events(kept, placed.steps)
        self.seen = [self.seen[index] for index in kept]
        return rows(self.source, self.seen, placed)

    def _kept(self) -> list[int]:
        """Return the records of one rank: the lowest, and those that name none."""
        ranks = {item.rank for item in self.seen if item.rank is not None}
        keep = {None, min(ranks, default=None)}
        kept = [index for index, item in enumerate(self.seen) if item.rank in keep]
        left = len(self.seen) - len(kept)
        if left:
            text = f"{left:,} metric lines of ranks above {min(ranks)} were left out"
            self.problems.append(Problem(text, lossy=False))
        return kept

    def _place_events(self, kept: list[int], steps: list[int]) -> None:
        """Turn the number of records before each event into the step of the last of them."""
        placed = []
        for event in self.collector.events:
            before = bisect_left(kept, event.step or 0)
            placed.append(replace(event, step=steps[before - 1] if before else None))
        self.collector.events = placed


def _curve(loose: list[Seen]) -> list[Seen]:
    """Return the records of the loss printed most often, if it was often enough."""
    names = Counter(key for item in loose for key in item.record.values if "loss" in key.lower())
    name, count = names.most_common(1)[0] if names else ("", 0)
    return [item for item in loose if name in item.record.values] if count >= FEWEST_LOOSE else []


def _framework(record: Record, text: str) -> str | None:
    """Name the framework whose own spelling this is, where that is sure."""
    if record.is_dict:
        is_hf = "loss" in record.values and record.epoch is not None
        return "hf-trainer" if is_hf else None
    if record.step is not None and "mfu" in record.values and text.startswith("iter "):
        return "nanogpt"
    return "keras" if record.inner and _KERAS_LINE.search(text) else None


def rows(source: str, seen: Sequence[Seen], placed: Placed) -> pd.DataFrame:
    """Return one row for each number of each record."""
    counts = [len(item.record.values) for item in seen]
    name = [key for item in seen for key in item.record.values]
    known = {key: canonical(key) for key in set(name)}
    unknown = float("nan")

    def spread(values: Iterable[float]) -> list[float]:
        pairs = zip(values, counts, strict=True)
        return [value for value, count in pairs for _ in range(count)]

    return metrics_frame(
        {
            "metric": [known[key] for key in name],
            "step": spread(placed.steps),
            "epoch": spread(unknown if (e := s.record.epoch) is None else e for s in seen),
            "time": spread(item.time for item in seen),
            "value": [number for item in seen for number in item.record.values.values()],
            "segment": spread(placed.segments),
            "source": [source] * len(name),
            "row": spread(item.row for item in seen),
            "name": name,
        }
    )


INGESTER = Ingester("text", claims, read)
