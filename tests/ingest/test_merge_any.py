"""Whatever tables come, merging keeps its promises and leaves its inputs alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loganalyze.detect import run_detectors
from loganalyze.detect.sources_disagree import DETECTOR as DISAGREE
from loganalyze.detect.steps_overlap import DETECTOR as OVERLAP
from loganalyze.finding import Outcome
from loganalyze.frame import metrics_frame
from loganalyze.ingest.ingester import Table
from loganalyze.ingest.merge import merge_runs
from loganalyze.run import ConfigValue, Event, EventKind, Where
from loganalyze.settings import Settings

NAMES = ("train/loss", "eval/loss", "train/learning_rate", "extra")
SOURCES = {
    "text": ("a.log", "b.log", "rank_0.log", "rank_1.log", "x/attempt_0/1/stdout.log", "a.err"),
    "tfevents": ("events.out.tfevents.1.h.7.0", "events.out.tfevents.2.h.7.1", "tb/e"),
    "hf-trainer-state": ("checkpoint-1/trainer_state.json", "trainer_state.json"),
    "mlflow": ("mlruns/0/1",),
}
points = st.tuples(
    st.sampled_from(NAMES),
    st.integers(-1, 30) | st.integers(0, 2**53),
    st.sampled_from([0.0, 1.0, 2.5]) | st.floats(),
    st.integers(0, 2),
    st.just(float("nan")) | st.floats(0, 2e9),
)
happenings = st.tuples(
    st.sampled_from(list(EventKind)), st.integers(1, 40), st.none() | st.integers(0, 30),
    st.none() | st.floats(0, 2e9),
)  # fmt: skip


@st.composite
def tables(draw: st.DrawFn) -> list[Table]:
    pairs = [(kind, source) for kind, sources in SOURCES.items() for source in sources]
    chosen = draw(st.lists(st.sampled_from(pairs), min_size=1, max_size=6, unique=True))
    return [one(draw, kind, source) for kind, source in chosen]


def one(draw: st.DrawFn, kind: str, source: str) -> Table:
    rows = draw(st.lists(points, max_size=25))
    events = draw(st.lists(happenings, max_size=3))
    columns = (
        dict(
            zip(
                ("metric", "step", "value", "segment", "time"), zip(*rows, strict=True), strict=True
            )
        )
        if rows
        else {}
    )
    if rows:
        columns["segment"] = np.sort(columns["segment"])
    k = draw(st.none() | st.integers(1, 4))
    return Table(
        source=source,
        format=kind,
        run=str(Path(source).parent) if kind == "text" else ".",
        metrics=metrics_frame({**columns, "source": source})
        if rows or draw(st.booleans())
        else None,
        config={"gradient_accumulation_steps": ConfigValue(k, source)} if k else {},
        events=tuple(
            Event(what, "x", Where(source, row), step, time) for what, row, step, time in events
        ),
        order=float(draw(st.integers(0, 3))),
    )


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(tables())
def test_merging_any_tables(given_tables: list[Table]) -> None:
    before = [table.frame.copy(deep=True) for table in given_tables]
    runs = merge_runs(given_tables, Path(), "x")
    for table, frame in zip(given_tables, before, strict=True):
        pd.testing.assert_frame_equal(table.frame, frame)
    repeated = {"hf-trainer-state", "text"}  # states repeat each other, ranks too
    for kind in {table.format for table in given_tables} - repeated:
        own = {table.source for table in given_tables if table.format == kind}
        read = sum(len(table.frame) for table in given_tables if table.format == kind)
        kept = sum(int(run.metrics["source"].isin(own).sum()) for run in runs)
        assert kept == read
    for run in runs:
        held = {file for family in run.families for file in family}
        assert held == {source.path for source in run.sources if source.path in held}
        for metric in {*run.metrics["metric"].unique(), "perf/step_seconds"}:
            series = run.series(metric)
            assert (np.diff(series.step) > 0).all()
            if not series.derived:
                assert (np.diff(series.segment) >= 0).all()
        _, checks = run_detectors(run, Settings(select=(DISAGREE.id, OVERLAP.id)))
        assert [check.reason for check in checks if check.outcome is Outcome.ERROR] == []
