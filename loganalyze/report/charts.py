"""Figures: curves on one step axis, with findings as bands and expected levels as lines."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loganalyze.finding import Diagnosis, Finding, Severity
from loganalyze.report import theme
from loganalyze.report.envelope import envelope
from loganalyze.report.redact import visible
from loganalyze.run import EventKind, Run, Series
from loganalyze.signals.schedule import schedule

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BUCKETS = 700  # two points each: finer than the pixels of a wide screen
CLIP = 4.0  # times the span of the inner 98 %: what lies beyond is pointed at, not drawn to scale
LOG_DECADES = 3  # positive curves that span more are drawn on a logarithmic axis
SMOOTHED_FROM = 60  # points from which a smoothed curve helps
SMOOTH = 0.01  # noise over range below which a curve, such as a schedule, needs no average
SPAN = 1 / 30  # of the series that the drawn moving average runs over: enough to see, little lag
BETA_LIMIT = 0.99  # of the average: past it the eye cannot tell the difference
ZOOM_FROM = 0.15  # findings that span less of the axis get a figure of their surroundings
MARKS = 60  # thin rules of one kind that a figure bears
COLOURS = {Severity.CRITICAL: theme.CRIT, Severity.WARNING: theme.WARN, Severity.INFO: theme.INFO}
PALETTE = (theme.LINE_1, theme.LINE_2, theme.LINE_3, theme.LINE_4)

OVERVIEW = (
    ("loss", "Loss", ("train/loss", "eval/loss")),
    ("grad-norm", "Gradient norm", ("train/grad_norm",)),
    ("learning-rate", "Learning rate", ("train/learning_rate",)),
    ("accuracy", "Accuracy", ("train/accuracy", "eval/accuracy")),
    ("throughput", "Throughput", ("perf/tokens_per_second", "perf/samples_per_second")),
    ("memory", "Memory", ("gpu/memory_allocated", "gpu/memory_reserved", "host/memory_rss")),
)


@dataclass(frozen=True, slots=True)
class Chart:
    """One figure: its anchor, its heading, its SVG, what was left out of it, and the points it cites."""

    key: str
    title: str
    svg: str
    notes: tuple[str, ...]
    description: str


def overview(diagnosis: Diagnosis) -> list[Chart]:
    """Draw the main curves, all on the same step axis."""
    run = diagnosis.run
    limits = _limits(run, [m for _, _, metrics in OVERVIEW for m in metrics])
    charts = []
    for key, heading, metrics in OVERVIEW:
        title = heading
        series = [found for name in metrics if len(found := run.series(name))]
        if series and limits is not None:
            if key == "learning-rate" and (followed := schedule(run)) is not None:
                title = f"{title}: {followed.label}"
            about = [f for f in diagnosis.findings if set(f.metrics) & set(metrics)]
            charts.append(draw(run, f"c-{key}", title, series, about, limits))
    return charts


def of_finding(diagnosis: Diagnosis, finding: Finding, key: str) -> list[Chart]:
    """Draw the figure that proves a finding, with its surroundings if it is short."""
    run = diagnosis.run
    series = [found for name in finding.metrics if len(found := run.series(name))]
    if not series or finding.steps is None:
        return []
    main = [s for s in series if s.metric.split("/")[-1] == series[0].metric.split("/")[-1]]
    limits = _limits(run, [s.metric for s in main])
    if limits is None:
        return []
    first, last = finding.steps
    span = limits[1] - limits[0]
    margin = max(2 * (last - first), 0.05 * span)
    near = (max(limits[0], first - margin), min(limits[1], last + margin))
    crowded = max(len(s) for s in main) > SMOOTHED_FROM
    if crowded and near[1] - near[0] < 3 * ZOOM_FROM * span:
        inside = [s.take((s.step >= near[0]) & (s.step <= near[1])) for s in main]
        inside = [s for s in inside if len(s) > 2]
        if inside:
            return [draw(run, key, f"{finding.title}: steps around it", inside, [finding], near)]
    return [draw(run, key, finding.title, main, [finding], limits)]


def _limits(run: Run, metrics: Iterable[str]) -> tuple[float, float] | None:
    spans = [(s.step[0], s.step[-1]) for name in metrics if len(s := run.series(name))]
    if not spans:
        return None
    low, high = min(a for a, _ in spans), max(b for _, b in spans)
    return float(low), float(max(high, low + 1))


def draw(
    run: Run,
    key: str,
    title: str,
    series: Sequence[Series],
    findings: Sequence[Finding],
    limits: tuple[float, float],
) -> Chart:
    """Draw some series on one pair of axes.

    Returns
    -------
    Chart
        With notes for everything that the drawing changed: thinning, clipping, values that are no numbers.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    notes: list[str] = []
    style: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": key,
        "font.family": "sans-serif",
        "font.size": 9,
        "text.parse_math": False,
        "axes.formatter.useoffset": False,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(8.2, 2.7))
        FigureCanvasSVG(figure)
        axes = figure.add_axes((0.085, 0.17, 0.9, 0.73))
        _frame(axes, limits)
        _curves(axes, series, findings, notes)
        _bands(axes, findings, limits)
        _rules(axes, run, limits)
        _levels(axes, findings, limits)
        handles, labels = axes.get_legend_handles_labels()
        if len(labels) > 1 or findings:
            legend = axes.legend(
                handles, labels, loc="upper right", fontsize=8, frameon=False, ncols=3,
                bbox_to_anchor=(1.0, 1.16), borderaxespad=0,
            )  # fmt: skip
            for text in legend.get_texts():
                text.set_color(theme.MUTED)
        buffer = io.StringIO()
        figure.savefig(
            buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    description = _describe(series, findings)
    svg = theme.inline(buffer.getvalue(), key, visible(title), description)
    return Chart(key, title, svg, tuple(notes), description)


def _frame(axes: Axes, limits: tuple[float, float]) -> None:
    from matplotlib.ticker import MaxNLocator

    margin = 0.01 * (limits[1] - limits[0])
    axes.set_xlim(limits[0] - margin, limits[1] + margin)
    for side, spine in axes.spines.items():
        spine.set_visible(side in {"left", "bottom"})
        spine.set_color(theme.GRID)
    axes.tick_params(colors=theme.MUTED, labelsize=8)
    axes.grid(visible=True, axis="y", color=theme.GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel("step", color=theme.MUTED, fontsize=8)
    # There is no step between two steps.
    axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", steps=[1, 2, 2.5, 5, 10], integer=True))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def _curves(
    axes: Axes, series: Sequence[Series], findings: Sequence[Finding], notes: list[str]
) -> None:
    import numpy as np

    finite = [s.value[np.isfinite(s.value)] for s in series]
    values = np.concatenate(finite) if finite else np.zeros(0)
    levels = [level for finding in findings for level in finding.levels.values()]
    others = [curve for finding in findings for curve in finding.what_if.items()]
    levels += [extreme for _, (_, drawn) in others for extreme in (min(drawn), max(drawn))]
    low, high = _vertical(axes, values, levels, notes)
    for label, (steps, drawn) in others:
        axes.plot(
            steps, drawn, color=theme.FG, linewidth=1.1, linestyle=(0, (5, 2)), label=visible(label)
        )
    for index, one in enumerate(series):
        _curve(axes, one, index, _cited(one, findings), (low, high), notes)
    axes.set_ylim(low, high)


def _vertical(
    axes: Axes, values: Any, levels: Sequence[float], notes: list[str]
) -> tuple[float, float]:
    """Choose scale and limits: a robust range, and a note for what lies outside of it."""
    import numpy as np
    from matplotlib.ticker import FuncFormatter, NullFormatter

    if not len(values):
        return 0.0, 1.0
    every = np.concatenate([values, levels]) if levels else values
    positive = every.min() > 0
    if positive and every.max() / every.min() > 10**LOG_DECADES:
        axes.set_yscale("log")
        # Formulas are off, so that nothing in a log is ever read as one: 0.01, not 10^{-2}.
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        return float(every.min() / 1.5), float(every.max() * 1.5)
    inner = np.quantile(values, (0.01, 0.99)) if len(values) > 50 else (values.min(), values.max())
    span = max(inner[1] - inner[0], 1e-12 + 0.02 * abs(inner[1]))
    low = min([max(values.min(), inner[0] - CLIP * span), *levels])
    high = max([min(values.max(), inner[1] + CLIP * span), *levels])
    above = int((values > high).sum())
    if above:
        word = "point lies" if above == 1 else "points lie"
        notes.append(f"{above:,} {word} above the axis, the highest at {values.max():.4g}.")
    pad = 0.06 * max(high - low, 1e-12 + 0.05 * abs(high))
    return float(low - pad), float(high + pad)


def _cited(series: Series, findings: Sequence[Finding]) -> list[int]:
    import numpy as np

    steps = [step for finding in findings if finding.steps for step in finding.steps]
    index = np.searchsorted(series.step, steps)
    return [int(i) for i in index if i < len(series)]


def _curve(
    axes: Axes,
    series: Series,
    index: int,
    cited: Sequence[int],
    limits: tuple[float, float],
    notes: list[str],
) -> None:
    import numpy as np

    from loganalyze.signals.smooth import ema

    colour = PALETTE[index % len(PALETTE)]
    dashes = "-" if index == 0 else "--"
    keep = envelope(series.value, BUCKETS, cited)
    if len(keep) < len(series):
        notes.append(
            f"{series.metric}: {len(series):,} points, drawn as {len(keep):,}: the lowest and the highest of "
            f"each {-(-len(series) // BUCKETS):,}."
        )
    step, value = series.step[keep], series.value[keep]
    few = len(series) <= SMOOTHED_FROM
    smooth = few or _is_smooth(series)
    averaged = not smooth and index == 0
    drawn = np.where(value > limits[1], limits[1], value)
    axes.plot(
        step, drawn, color=colour, linewidth=1.1 if smooth else 0.8, linestyle=dashes,
        marker="o" if few else None, markersize=3, alpha=0.4 if averaged else 1.0,
        label=visible(series.metric)[:40],
    )  # fmt: skip
    if averaged:
        # The average runs over the whole series; only its drawing is thinned.
        clean = series.finite()
        beta = min(1.0 - 1.0 / max(4.0, SPAN * len(clean)), BETA_LIMIT)
        mean = ema(clean.value, beta)
        part = np.unique(np.linspace(0, len(clean) - 1, 2 * BUCKETS).astype(int))
        axes.plot(clean.step[part], mean[part], color=colour, linewidth=1.6,
                  label=f"moving average, beta {beta:.2g}")  # fmt: skip
    _rail(axes, series, colour, notes)


def _is_smooth(series: Series) -> bool:
    """Tell whether a curve has hardly any point-to-point noise: an average would only lag behind it."""
    import numpy as np

    from loganalyze.signals.robust import noise_sigma

    value = series.finite().value
    return not len(value) or noise_sigma(value) <= SMOOTH * float(np.ptp(value))


def _rail(axes: Axes, series: Series, colour: str, notes: list[str]) -> None:
    """Show values that are no numbers as triangles along the top."""
    import numpy as np

    bad = np.flatnonzero(~np.isfinite(series.value))
    if not len(bad):
        return
    shown = bad[np.unique(np.linspace(0, len(bad) - 1, 80).astype(int))]
    axes.plot(
        series.step[shown], np.full(len(shown), 0.97), linestyle="none", marker="v", markersize=5,
        color=theme.CRIT, transform=axes.get_xaxis_transform(), label="NaN or infinite",
    )  # fmt: skip
    notes.append(
        f"{series.metric}: {len(bad):,} values are NaN or infinite (triangles at the top)."
    )


def _bands(axes: Axes, findings: Sequence[Finding], limits: tuple[float, float]) -> None:
    least = 0.004 * (limits[1] - limits[0])
    for finding in findings:
        if finding.steps is None:
            continue
        first, last = (float(step) for step in finding.steps)
        if last - first < least:
            first, last = first - least / 2, last + least / 2
        axes.axvspan(first, last, color=COLOURS[finding.severity], alpha=0.13, linewidth=0)
        axes.text(
            max(first, limits[0]), 1.02, finding.id, transform=axes.get_xaxis_transform(), fontsize=7.5,
            color=COLOURS[finding.severity], ha="left", va="bottom", clip_on=False,
        )  # fmt: skip
        break  # one label fits; the others have figures of their own


def _rules(axes: Axes, run: Run, limits: tuple[float, float]) -> None:
    steps = [e.step for e in run.events_of(EventKind.RESUME) if e.step is not None]
    for step in steps[:MARKS]:
        if limits[0] <= step <= limits[1]:
            axes.axvline(step, color=theme.MUTED, linewidth=0.7, linestyle=":")


def _levels(axes: Axes, findings: Sequence[Finding], limits: tuple[float, float]) -> None:
    for finding in findings:
        for label, level in finding.levels.items():
            axes.axhline(level, color=theme.FG, linewidth=0.9, linestyle=(0, (4, 3)))
            axes.text(
                limits[1],
                level,
                visible(label),
                fontsize=8,
                color=theme.FG,
                ha="right",
                va="bottom",
            )


def _describe(series: Sequence[Series], findings: Sequence[Finding]) -> str:
    import numpy as np

    parts = []
    for one in series:
        clean = one.finite().value
        if len(clean):
            parts.append(
                f"{one.metric}: {len(one):,} points from step {one.step[0]:,} to {one.step[-1]:,}, "
                f"{clean[0]:.4g} at first, {clean[-1]:.4g} at last, between {np.min(clean):.4g} and "
                f"{np.max(clean):.4g}."
            )
        else:
            parts.append(f"{one.metric}: {len(one):,} points, none of them finite.")
    parts += [finding.summary for finding in findings]
    return visible(" ".join(parts))
