"""Which figures a report has: the main curves on one axis, and for each finding those that prove it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from loganalyze.finding import Diagnosis, Finding
from loganalyze.report.curves import SMOOTHED_FROM, Curve, curve
from loganalyze.report.figure import Chart, draw
from loganalyze.report.layers import FOCUS, MIDDLE, SHORT, TALL, Plot
from loganalyze.report.marks import marks
from loganalyze.report.proof import Proof, derived, proof
from loganalyze.run import Run, Series
from loganalyze.series import every_start, families, select
from loganalyze.signals.schedule import schedule

BUCKETS = 700  # two points each: finer than the pixels of a wide screen
ZOOM_FROM = 0.15  # findings that span less of the axis get a figure of their surroundings
SURROUNDINGS = 0.05  # share of the axis at each side of a short finding
FARTHEST = 150  # points at each side of it that tell what was usual
NEIGHBOURS = 15  # points at each side of it, at least
SEVERAL = 4  # curves of one metric in a figure
UNITS = 2  # figures of a finding whose metrics have different units
LOSS = "train/loss"

OVERVIEW = (
    ("loss", "Loss", ("train/loss", "eval/loss")),
    ("grad-norm", "Gradient norm", ("train/grad_norm",)),
    ("learning-rate", "Learning rate", ("train/learning_rate",)),
    ("accuracy", "Accuracy", ("train/accuracy", "eval/accuracy")),
    ("loss-scale", "Loss scale", ("train/loss_scale",)),
    ("throughput", "Throughput", ("perf/tokens_per_second", "perf/samples_per_second")),
    ("step-time", "Seconds per step", ("perf/step_seconds",)),
    ("memory", "Memory", ("gpu/memory_allocated", "gpu/memory_reserved", "host/memory_rss")),
)


def overview(diagnosis: Diagnosis) -> list[Chart]:
    """Draw the main curves, all on the same step axis."""
    run = diagnosis.run
    limits = _limits(run, [m for _, _, metrics in OVERVIEW for m in metrics])
    found = marks(run)
    charts: list[Chart] = []
    for key, heading, metrics in OVERVIEW:
        series = _one_unit([s for name in metrics if len(s := run.series(name))])
        if not series or limits is None or _is_repetition(key, charts):
            continue
        about = tuple(f for f in diagnosis.findings if set(f.metrics) & set(metrics))
        levels = {label: value for f in about for label, value in f.levels.items()}
        imagined = {label: drawn for f in about for label, drawn in f.what_if.items()}
        plot = Plot(
            f"c-{key}", _heading(run, key, heading), _curves(series, about, BUCKETS), limits,
            findings=about, marks=found, proof=Proof(levels, imagined),
            height=MIDDLE if charts else TALL,
        )  # fmt: skip
        charts.append(draw(plot))
    return charts


def _is_repetition(key: str, charts: Sequence[Chart]) -> bool:
    """The time of a step says nothing beside the throughput."""
    return key == "step-time" and any(chart.key == "c-throughput" for chart in charts)


def _heading(run: Run, key: str, heading: str) -> str:
    followed = schedule(run) if key == "learning-rate" else None
    return heading if followed is None else f"{heading}: {followed.label}"


def _one_unit(series: Sequence[Series]) -> list[Series]:
    """Keep what fits on one axis: tokens and samples per second do not."""
    if series and series[0].metric.startswith("perf/"):
        return list(series[:1])
    return list(series)


def of_finding(diagnosis: Diagnosis, finding: Finding, key: str) -> list[Chart]:
    """Draw the figures that prove a finding: the whole run, and its surroundings if it is short."""
    run = diagnosis.run
    found = marks(run)
    charts: list[Chart] = []
    for index, group in enumerate(_groups(run, finding)):
        limits = _limits_of(group, finding, run)
        name = f"{key}{index + 1}"
        if limits is None:
            continue
        title = finding.title if index == 0 else f"{finding.title}: {group[0].series.metric}"
        plot = Plot(
            name, title, group, limits,
            findings=(finding,), marks=found, proof=proof(finding) if index == 0 else Proof(),
            height=MIDDLE if index else TALL, planned=_planned(run, finding, limits),
        )  # fmt: skip
        near = _surroundings(plot, finding)
        charts += [draw(plot)] if near is None else [draw(_locator(plot)), draw(near)]
    return charts


def _groups(run: Run, finding: Finding) -> list[tuple[Curve, ...]]:
    """Return the curves of each figure: what is measured in one unit goes into one."""
    if finding.steps is None:
        return []
    several = _SEVERAL.get(finding.id)
    if several is not None:
        return [group] if (group := several(run, finding)) else []
    series = [s for name in finding.metrics or (LOSS,) if len(s := run.series(name))]
    units: dict[str, list[Series]] = {}
    # What was trained on first: a metric has one colour in all figures.
    for one in sorted(series, key=lambda s: not s.metric.startswith("train/")):
        units.setdefault(one.metric.split("/")[-1], []).append(one)
    groups = [_curves(group, (finding,), FOCUS) for group in units.values()][:UNITS]
    extra = derived(run, finding)
    return groups if extra is None else [*groups[:1], _curves([extra], (finding,), FOCUS)]


def _every_source(run: Run, finding: Finding) -> tuple[Curve, ...]:
    """Return the curves of one metric, a family of sources each."""
    found = []
    for metric in finding.metrics[:1]:
        for sources in families(run).get(metric, ())[:SEVERAL]:
            series = select(run.columns, metric, sources)
            if len(series):
                found.append(curve(f"{metric}, {sources[0]}", series, FOCUS, ()))
    return tuple(found)


def _every_start(run: Run, finding: Finding) -> tuple[Curve, ...]:
    """Return the curves of one metric, a start of the run each: what a restart superseded, too."""
    import numpy as np

    found = []
    for metric in finding.metrics[:1]:
        points = every_start(run.columns, metric, run.preferred.get(metric, ()))
        for segment in np.unique(points.segment)[:SEVERAL].tolist():
            part = points.take(points.segment == segment)
            part = part.take(np.argsort(part.step, kind="stable"))
            found.append(curve(f"{metric}, start {segment + 1}", part, FOCUS, ()))
    return tuple(found)


_SEVERAL = {"sources-disagree": _every_source, "steps-overlap": _every_start}


def _curves(
    series: Iterable[Series], findings: Sequence[Finding], buckets: int
) -> tuple[Curve, ...]:
    return tuple(curve(s.metric, s, buckets, cited(s, findings)) for s in series)


def cited(series: Series, findings: Sequence[Finding]) -> list[int]:
    """Return the indices of the points that findings speak of."""
    import numpy as np

    steps = [step for f in findings if f.steps for step in f.steps]
    steps += [int(point.step) for f in findings for point in proof(f).points]
    index = np.searchsorted(series.step, steps)
    return sorted({int(i) for i in index if i < len(series)})


def _limits(run: Run, metrics: Iterable[str]) -> tuple[float, float] | None:
    spans = [(s.step[0], s.step[-1]) for name in metrics if len(s := run.series(name))]
    if not spans:
        return None
    return _padded(float(min(a for a, _ in spans)), float(max(b for _, b in spans)))


def _limits_of(curves: Sequence[Curve], finding: Finding, run: Run) -> tuple[float, float] | None:
    steps = [one.series.step for one in curves]
    if not steps:
        return None
    first, last = float(min(s[0] for s in steps)), float(max(s[-1] for s in steps))
    if finding.id == "run-truncated" and run.planned_steps:
        last = max(last, float(run.planned_steps))
    return _padded(first, last)


def _padded(first: float, last: float) -> tuple[float, float]:
    """Leave room at both ends, so that the first and the last point are seen whole."""
    margin = 0.01 * max(last - first, 1.0)
    return first - margin, last + margin


def _planned(run: Run, finding: Finding, limits: tuple[float, float]) -> float | None:
    last = run.last_step
    cut = finding.id == "run-truncated" and last is not None and last < limits[1]
    return float(last) if cut and last is not None else None


def _surroundings(plot: Plot, finding: Finding) -> Plot | None:
    """Return the figure of a short finding's surroundings, or None where the whole run shows it."""
    if finding.steps is None or plot.planned is not None:
        return None
    span = plot.limits[1] - plot.limits[0]
    first, last = finding.steps
    interval = min(_interval(one.series) for one in plot.curves)
    usual = min(SURROUNDINGS * span, FARTHEST * interval)
    margin = max(2 * (last - first), usual, NEIGHBOURS * interval)
    near = (max(plot.limits[0], first - margin), min(plot.limits[1], last + margin))
    crowded = max(len(one.series) for one in plot.curves) > SMOOTHED_FROM
    if not crowded or near[1] - near[0] > 3 * ZOOM_FROM * span:
        return None
    inside = [_part(one, near, finding) for one in plot.curves]
    inside = [one for one in inside if len(one.series) > 2]
    if not inside:
        return None
    title = f"{plot.title}: the steps around it"
    return replace(plot, key=f"{plot.key}z", title=title, curves=tuple(inside), limits=near)


def _interval(series: Series) -> float:
    import numpy as np

    return float(np.median(np.diff(series.step))) if len(series) > 1 else 1.0


def _part(one: Curve, near: tuple[float, float], finding: Finding) -> Curve:
    part = one.series.take((one.series.step >= near[0]) & (one.series.step <= near[1]))
    return curve(one.label, part, FOCUS, cited(part, (finding,)))


def _locator(plot: Plot) -> Plot:
    """Return a low figure of the whole run that says where a finding lies."""
    title = f"{plot.title}: the whole run"
    return replace(plot, title=title, height=SHORT, proof=Proof())
