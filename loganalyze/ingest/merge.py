"""From the tables of a run to one `Run`: how their numbers become one frame.

Every row is kept. Files of one format that continue each other are one *family*; a restart inside
a family becomes a new segment. For each metric the finest family is preferred for analysis.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from loganalyze.ingest.group import MLFLOW, group_tables
from loganalyze.ingest.ingester import PER_FILE, Facts, Table
from loganalyze.ingest.micro_steps import to_optimizer_steps
from loganalyze.ingest.one_name import one_name_each
from loganalyze.run import (
    FATAL,
    ConfigValue,
    Event,
    EventKind,
    Run,
    Source,
    Status,
    empty_metrics,
)

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

# Which format's word counts when they say the same number of things, and whose facts win.
RANK = (
    "hf-trainer-state", "tfevents", "mlflow", "mlflow-sqlite", "mlflow-server", "wandb", "csv",
    "json-history", "training-args", "config", "text",
)  # fmt: skip


def merge_runs(tables: Sequence[Table], root: Path, shown: str) -> list[Run]:
    """Sort tables into runs and merge each; newest first, each knowing the others' names."""
    groups = _unique_names(group_tables(tables), root)
    runs = [(merge(name, members, shown), members) for name, members in groups.items()]
    runs.sort(key=lambda item: _age_key(item[0], item[1], root), reverse=True)
    names = [run.name for run, _ in runs]
    from dataclasses import replace

    return [
        replace(run, others=tuple(name for name in names if name != run.name)) for run, _ in runs
    ]


def _age_key(run: Run, members: Sequence[Table], root: Path) -> tuple[bool, float, str]:
    """Newest last: by the time in the data, else by the files' own time."""
    times = run.metrics["time"]
    newest = float(times.max()) if len(times) and times.notna().any() else (run.ended or 0.0)
    if not newest:
        base = root if root.is_dir() else root.parent
        newest = max((_modified(base / table.source) for table in members), default=0.0)
    return bool(len(run.metrics)), newest, run.name


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _unique_names(groups: Mapping[str, list[Table]], root: Path) -> dict[str, list[Table]]:
    named: dict[str, list[Table]] = {}
    for key, members in groups.items():
        told = _told_name(members) if key.startswith(MLFLOW) else None
        name = told or key.removeprefix(MLFLOW)
        if name == "." or (len(groups) == 1 and not told):
            name = root.resolve().name or "run"
        if name in named:
            name = f"{name}#{key.removeprefix(MLFLOW)}"
        named[name] = members
    return named


def _told_name(members: Sequence[Table]) -> str | None:
    return next((table.facts.name for table in members if table.facts.name), None)


def merge(name: str, tables: Sequence[Table], shown: str) -> Run:
    """Merge the tables of one run."""
    tables = sorted(tables, key=lambda table: (_rank(table.format), table.order, table.source))
    tables = [_with_one_name_each(table) for table in tables]
    config = _config(tables)
    families = to_optimizer_steps(_families(tables), *_counting(config))
    converted = {table.source: table for family in families for table in family}
    tables = [converted.get(table.source, table) for table in tables]
    metrics = _concat(families)
    events = tuple(_in_order([event for table in tables for event in table.events]))
    facts = [table.facts for table in tables]
    run = Run(
        name=name,
        path=shown,
        metrics=metrics,
        framework=_first(facts, "framework") or "unknown",
        planned_steps=_first(facts, "planned_steps"),
        planned_epochs=_first(facts, "planned_epochs"),
        started=_first(facts, "started") or _time(metrics, "min"),
        ended=_first(facts, "ended") or _time(metrics, "max"),
        config=config,
        events=events,
        sources=tuple(_sources(tables, metrics)),
        preferred=_preferred(families),
    )
    from dataclasses import replace

    if run.planned_steps is None:
        told = run.number("max_steps")
        run = replace(run, planned_steps=int(told) if told and told > 0 else None)
    return replace(run, status=_status(run, facts))


def _with_one_name_each(table: Table) -> Table:
    from dataclasses import replace

    return table if table.metrics is None else replace(table, metrics=one_name_each(table.metrics))


def _config(tables: Sequence[Table]) -> dict[str, ConfigValue]:
    """Return all settings; the table that comes first has the word."""
    config: dict[str, ConfigValue] = {}
    for table in tables:
        for key, value in table.config.items():
            config.setdefault(key, value)
    return config


def _counting(config: Mapping[str, ConfigValue]) -> tuple[float | None, float | None]:
    """Return passes per update, and planned updates, as far as the configuration says."""
    known = Run("", "", empty_metrics(), config=config)
    return known.number("gradient_accumulation_steps"), known.number("max_steps")


def _rank(kind: str) -> int:
    return RANK.index(kind) if kind in RANK else len(RANK)


def _in_order(events: Sequence[Event]) -> list[Event]:
    """Sort events by time, where all have one; else by source and line."""
    if all(event.time is not None for event in events):
        return sorted(events, key=_moment)
    return sorted(events, key=_event_key)


def _moment(event: Event) -> tuple[float, str, int]:
    return event.time or 0.0, *_event_key(event)


def _event_key(event: Event) -> tuple[str, int]:
    return event.where.source, event.where.row or 0


def _first(facts: Iterable[Facts], name: str) -> Any:
    return next((found for fact in facts if (found := getattr(fact, name)) is not None), None)


def _time(metrics: pd.DataFrame, which: str) -> float | None:
    times = metrics["time"].dropna()
    return float(getattr(times, which)()) if len(times) else None


def _families(tables: Sequence[Table]) -> list[list[Table]]:
    """Group tables with metrics into families: a format's files, or logs that continue each other."""
    families: dict[str, list[Table]] = defaultdict(list)
    for table in tables:
        if table.metrics is not None and len(table.metrics):
            families[table.format].append(table)
    split: list[list[Table]] = []
    for kind, members in families.items():
        split += _sessions(members) if kind in PER_FILE else [members]
    return split


def _sessions(tables: Sequence[Table]) -> list[list[Table]]:
    """Join logs of which each goes on where the one before it ended."""
    families: list[list[Table]] = []
    for table in sorted(tables, key=_begin):
        family = next((one for one in families if _continues(one[-1], table)), None)
        if family is None:
            families.append([table])
        else:
            family.append(table)
    return families


def _begin(table: Table) -> tuple[float, int, str]:
    times = _frame(table)["time"].dropna()
    steps = _frame(table)["step"]
    return float(times.min()) if len(times) else 0.0, int(steps.min()), table.source


def _continues(table: Table, later: Table) -> bool:
    """Tell whether most of what `later` logged of their common metrics comes after `table`."""
    before, after = _spans(_frame(table)), _frame(later)
    common = [name for name in _spans(after) if name in before]
    if not common:
        return False
    for name in common:
        steps = after["step"].to_numpy()[(after["metric"] == name).to_numpy()]
        if (steps > before[name][1]).sum() <= len(steps) / 2:
            return False
    return True


def _placed(frame: pd.DataFrame) -> list[str]:
    """Return the metrics that have a step."""
    import numpy as np

    codes = frame["metric"].cat.codes.to_numpy()[frame["step"].to_numpy() >= 0]
    names = frame["metric"].cat.categories
    held = np.flatnonzero(np.bincount(codes, minlength=len(names)))
    return [str(names[code]) for code in held.tolist()]


def _spans(frame: pd.DataFrame) -> dict[str, tuple[int, int]]:
    """Return first and last step of every metric that has steps."""
    import numpy as np

    codes, step = frame["metric"].cat.codes.to_numpy(), frame["step"].to_numpy()
    placed = step >= 0
    names = frame["metric"].cat.categories
    low = np.full(len(names), np.iinfo(np.int64).max)
    high = np.full(len(names), -1)
    np.minimum.at(low, codes[placed], step[placed])
    np.maximum.at(high, codes[placed], step[placed])
    return {
        str(name): (int(low[index]), int(high[index]))
        for index, name in enumerate(names)
        if high[index] >= 0
    }


def _concat(families: Sequence[Sequence[Table]]) -> pd.DataFrame:
    import pandas as pd
    from pandas.api.types import union_categoricals

    frames = [frame for family in families for frame in _number_segments(family)]
    if len(frames) <= 1:
        return frames[0] if frames else empty_metrics()
    return pd.DataFrame(
        {
            column: (
                union_categoricals([frame[column] for frame in frames])
                if isinstance(frames[0][column].dtype, pd.CategoricalDtype)
                else pd.concat([frame[column] for frame in frames], ignore_index=True)
            )
            for column in frames[0].columns
        }
    )


def _number_segments(family: Sequence[Table]) -> list[pd.DataFrame]:
    """Number the restarts over the files of a family, and drop what a later file repeats."""
    if len(family) == 1:
        return [_frame(family[0])]
    if family[0].format == "hf-trainer-state":
        return _checkpoints(family)
    frames: list[pd.DataFrame] = []
    seen: dict[str, int] = {}  # metric -> last step so far
    offset = 0
    for table in family:
        frame = _frame(table)
        spans = _spans(frame)
        if any(seen.get(metric, -1) >= low for metric, (low, _) in spans.items()):
            offset = int(max(part["segment"].max() for part in frames)) + 1
        frame = frame.assign(segment=frame["segment"] + offset)
        frames.append(frame)
        seen.update((metric, high) for metric, (_, high) in spans.items())
    return frames


def _checkpoints(family: Sequence[Table]) -> list[pd.DataFrame]:
    """Keep the latest state whole, and of the older ones only what it does not repeat."""
    import pandas as pd

    kept: list[pd.DataFrame] = []
    seen: list[pd.Series[int]] = []
    for table in reversed(family):
        frame = _frame(table)
        # A point is known by its metric, step and the very bits of its value.
        key = pd.util.hash_pandas_object(frame[["metric", "step", "value"]], index=False)
        new = ~key.isin(pd.concat(seen)) if seen else pd.Series(data=True, index=frame.index)
        seen.append(key)
        if new.any():
            kept.append(frame[new])
    kept.reverse()
    offset = 0
    for index, frame in enumerate(kept):
        kept[index] = frame.assign(segment=frame["segment"] + offset)
        offset = int(kept[index]["segment"].max()) + 1
    return kept


def _frame(table: Table) -> pd.DataFrame:
    return table.metrics if table.metrics is not None else empty_metrics()


def _preferred(families: Sequence[Sequence[Table]]) -> dict[str, tuple[str, ...]]:
    """Pick the finest family per metric: most distinct steps; the earlier format on a tie."""
    best: dict[str, tuple[int, tuple[str, ...]]] = {}
    for family in families:
        sources = tuple(
            sorted({str(name) for table in family for name in _frame(table)["source"].unique()})
        )
        for metric, count in _distinct_steps(family, count=len(families) > 1).items():
            if count > best.get(metric, (0, ()))[0]:
                best[metric] = (count, sources)
    return {metric: sources for metric, (_, sources) in best.items()}


def _distinct_steps(family: Sequence[Table], *, count: bool) -> dict[str, int]:
    """Return the number of distinct steps of each metric; 1 for all where nothing is compared."""
    import pandas as pd

    names = sorted({name for table in family for name in _placed(_frame(table))})
    if not count:
        return dict.fromkeys(names, 1)
    found = {}
    for name in names:
        frames = [_frame(table) for table in family]
        steps = pd.concat([frame["step"][frame["metric"] == name] for frame in frames])
        found[name] = int(steps[steps >= 0].nunique())
    return found


def _sources(tables: Sequence[Table], metrics: pd.DataFrame) -> Iterable[Source]:
    for table in sorted(tables, key=lambda table: table.source):
        frame = _frame(table)
        steps = frame["step"][frame["step"] >= 0]
        yield Source(
            path=table.source,
            format=table.format,
            rows=len(frame),
            metrics=tuple(sorted(str(name) for name in frame["metric"].unique())),
            first_step=int(steps.min()) if len(steps) else None,
            last_step=int(steps.max()) if len(steps) else None,
            problems=table.problems,
        )


def _status(run: Run, facts: Sequence[Facts]) -> Status:
    """Say how the run ended: what killed it counts more than what anybody says."""
    told = {fact.status for fact in facts}
    fatal = [event for event in run.events if event.kind in FATAL]
    training = run.series("train/loss")
    last = int(training.step[-1]) if len(training) else run.last_step
    ended = run.events_of(EventKind.TRAIN_END)
    from_zero = int(run.first_step == 0)  # steps 0 to n - 1 are n steps
    finished = (
        run.planned_steps is not None and last is not None and last + from_zero >= run.planned_steps
    )
    if fatal and not ended and not finished and _was_last(fatal[-1], last):
        return Status.CRASHED
    if Status.CRASHED in told:
        return Status.CRASHED
    if ended or finished or Status.COMPLETED in told:
        return Status.COMPLETED
    if Status.RUNNING in told:
        return Status.RUNNING
    if run.planned_steps is not None and last is not None:
        return Status.TRUNCATED
    return Status.UNKNOWN


def _was_last(event: Event, last: int | None) -> bool:
    return event.step is None or last is None or event.step >= last
