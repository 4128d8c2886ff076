"""What a figure shows beside its curves: bands and ranges behind them, marks and proof in front."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from loganalyze.finding import Finding, Severity
from loganalyze.report import theme
from loganalyze.report.curves import LOG_DECADES, Curve
from loganalyze.report.envelope import envelope
from loganalyze.report.labels import shown, width
from loganalyze.report.marks import Mark, MarkKind, spread
from loganalyze.report.proof import Point, Proof
from loganalyze.report.room import Taken, to_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# All lengths in points of 1/72 inch, the unit of the SVG.
WIDTH, LEFT, RIGHT, BOTTOM = 640.0, 58.0, 24.0, 29.0
INNER = WIDTH - LEFT - RIGHT
TALL, MIDDLE, SHORT = 158.0, 104.0, 60.0  # heights of the axes
ROW = 12.0  # height of a row of the legend or of labels
BAND_ROWS = 3  # rows of labels above the axes; more are not read
RULES = 60  # marks of one kind that a figure bears
FONT = 8.0
FOCUS = 350  # buckets of figures that show a part; two points each
COLOURS = {Severity.CRITICAL: theme.CRIT, Severity.WARNING: theme.WARN, Severity.INFO: theme.INFO}

STYLES: dict[MarkKind, dict[str, Any]] = {
    MarkKind.FAILURE: {"color": theme.CRIT, "linewidth": 1.2, "linestyle": "-"},
    MarkKind.PARTING: {"color": theme.INFO, "linewidth": 1.4, "linestyle": (0, (6, 2))},
    MarkKind.RESTART: {"color": theme.FG, "linewidth": 0.8, "linestyle": (0, (1, 2))},
    MarkKind.CHECKPOINT: {
        "color": theme.MUTED,
        "linestyle": "none",
        "marker": "D",
        "markersize": 3.2,
    },
    MarkKind.EPOCH: {"color": theme.MUTED, "linestyle": "none", "marker": "|", "markersize": 5},
}
RAILS = {
    MarkKind.CHECKPOINT: 0.03,
    MarkKind.EPOCH: 0.985,
}  # where points stand; the others are lines


@dataclass(frozen=True, slots=True)
class Plot:
    """What to draw.

    Attributes
    ----------
    limits
        First and last step of the axis.
    height
        Of the axes, in points.
    planned
        First step that was planned and not run, to shade from there; None without.
    averages
        How many of the curves have a moving average; over two noisy ones of one run, two are a thicket.
    axis
        What the steps are, where they are something else.
    decades
        That positive curves span at least to be drawn on a logarithmic axis.
    """

    key: str
    title: str
    curves: tuple[Curve, ...]
    limits: tuple[float, float]
    findings: tuple[Finding, ...] = ()
    marks: tuple[Mark, ...] = ()
    proof: Proof = field(default_factory=Proof)
    height: float = TALL
    planned: float | None = None
    averages: int = 1
    axis: str = "step"
    decades: float = LOG_DECADES


def place(plot: Plot, step: float) -> float:
    """Return where a step lies, in points from the left."""
    first, last = plot.limits
    return LEFT + INNER * (min(max(step, first), last) - first) / (last - first)


def inside(plot: Plot) -> Iterator[tuple[Finding, tuple[int, int]]]:
    """Return the findings of which a part lies on the axis, with their steps."""
    first, last = plot.limits
    for finding in plot.findings:
        if finding.steps and finding.steps[0] <= last and finding.steps[1] >= first:
            yield finding, finding.steps


IMAGINED: dict[str, Any] = {"color": theme.FG, "linewidth": 1.1, "linestyle": (0, (5, 2))}
RIBBON: dict[str, Any] = {"color": theme.LINE_3, "linewidth": 6, "alpha": 0.3}
UNRUN = 80.0  # points from which the part that was not run has room for its name


def behind(axes: Axes, plot: Plot) -> None:
    """Draw bands of findings, usual ranges, what was not run, the gap between two curves."""
    for finding, steps in inside(plot):
        _band(axes, plot, COLOURS[finding.severity], steps)
    for ribbon in plot.proof.ribbons:
        axes.axhspan(
            max(ribbon.low, axes.get_ylim()[0]),
            ribbon.high,
            color=theme.LINE_3,
            alpha=0.18,
            linewidth=0,
        )
    if plot.planned is not None:
        _not_run(axes, plot, plot.planned)
    if plot.proof.gap and len(plot.curves) > 1 and plot.proof.points:
        _gap(axes, plot.curves[0], plot.curves[1], plot.proof.points[0].step)


def _band(axes: Axes, plot: Plot, colour: str, steps: tuple[int, int]) -> None:
    least = 3 * (plot.limits[1] - plot.limits[0]) / INNER  # three points wide, to be seen at all
    first, last = (min(max(float(step), plot.limits[0]), plot.limits[1]) for step in steps)
    if last - first < least:
        middle = (first + last) / 2
        first, last = middle - least / 2, middle + least / 2
    axes.axvspan(first, last, color=colour, alpha=0.1, linewidth=0)
    axes.plot(
        [first, last], [1.0, 1.0], transform=axes.get_xaxis_transform(), linewidth=2.4,
        color=colour, solid_capstyle="butt", clip_on=False,
    )  # fmt: skip


def _not_run(axes: Axes, plot: Plot, since: float) -> None:
    axes.axvspan(since, plot.limits[1], color=theme.MUTED, alpha=0.12, linewidth=0)
    if place(plot, plot.limits[1]) - place(plot, since) > UNRUN:
        axes.text(
            (since + plot.limits[1]) / 2, 0.5, "planned, not run", color=theme.MUTED,
            transform=axes.get_xaxis_transform(), ha="center", va="center",
        )  # fmt: skip


def _gap(axes: Axes, one: Curve, two: Curve, since: float) -> None:
    """Shade the space between two curves from the step at which they part."""
    import numpy as np

    first, second = one.series.finite(), two.series.finite()
    late = first.take(first.step >= since)
    if len(late) and len(second):
        other = np.interp(late.step, second.step, second.value)
        kept = envelope(late.value, FOCUS)
        axes.fill_between(
            late.step[kept],
            late.value[kept],
            other[kept],
            color=theme.WARN,
            alpha=0.12,
            linewidth=0,
        )


def before(axes: Axes, plot: Plot) -> None:
    """Draw marks of the run, imagined curves, levels and points over the curves."""
    _marks(axes, plot)
    for steps, values in plot.proof.curves.values():
        axes.plot(steps, values, **IMAGINED)
    taken = Taken(axes, plot.curves)
    for point in plot.proof.points:
        if plot.limits[0] <= point.step <= plot.limits[1] and point.value >= axes.get_ylim()[0]:
            _ring(axes, plot, point, taken)
    _levels(axes, plot, taken)


def _marks(axes: Axes, plot: Plot) -> None:
    first, last = plot.limits
    placed = [(m.kind, float(m.step)) for m in plot.marks if m.step is not None]
    for kind, style in STYLES.items():
        steps = spread([s for k, s in placed if k is kind and first <= s <= last], RULES)
        if steps and kind in RAILS:
            height = [RAILS[kind]] * len(steps)
            axes.plot(steps, height, transform=axes.get_xaxis_transform(), **style)
        elif steps:
            for step in steps:
                axes.axvline(step, **style)


def _levels(axes: Axes, plot: Plot, taken: Taken) -> None:
    """Draw dashed lines, each with its label where it covers least: at either end, above or below."""
    lowest = axes.get_ylim()[0]
    shown_levels = [
        item for item in plot.proof.levels.items() if item[1] >= lowest
    ]  # 0 is on no log axis
    for label, value in sorted(shown_levels, key=lambda item: item[1]):
        axes.axhline(value, color=theme.FG, linewidth=0.9, linestyle=(0, (4, 3)))
        height = to_axes(axes, plot.limits[0], value)[1]
        name, up = shown(label), ROW / plot.height
        size = (width(name) / INNER, up)
        corners = [
            (left, bottom)
            for bottom in (height + 0.01, height - up - 0.01)
            for left in (1 - size[0], 0.005, 0.5 - size[0] / 2)
        ]
        left, bottom = taken.quietest(corners, size)
        axes.text(left, bottom + up / 2, name, va="center", transform=axes.transAxes, **_PAPER)


def _ring(axes: Axes, plot: Plot, point: Point, taken: Taken) -> None:
    axes.plot(
        [point.step], [point.value], linestyle="none", marker="o", markersize=8, markerfacecolor="none",
        markeredgecolor=theme.FG, markeredgewidth=1.1, clip_on=False,
    )  # fmt: skip
    x, y = to_axes(axes, point.step, point.value)
    name, up, away = shown(point.label), ROW / plot.height, 9 / INNER
    size = (width(name) / INNER, up)
    corners = [
        (left, y + lift - up / 2)
        for lift in (0.0, 1.3 * up, -1.3 * up)
        for left in (x + away, x - away - size[0])
    ]
    left, bottom = taken.quietest(corners, size)
    axes.text(left, bottom + up / 2, name, va="center", transform=axes.transAxes, **_PAPER)


_PAPER: dict[str, Any] = {
    "color": theme.FG,
    "bbox": {"facecolor": theme.CARD, "edgecolor": "none", "alpha": 0.8, "pad": 1.0},
}
