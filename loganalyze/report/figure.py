"""One figure: legend and labels above, curves, bands, marks and proof on a step axis."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loganalyze.report import curves as drawn
from loganalyze.report import layers, theme
from loganalyze.report.curves import Curve, Entry
from loganalyze.report.labels import Label, packed, rows_of, shortened, shown
from loganalyze.report.layers import (
    BAND_ROWS,
    BOTTOM,
    COLOURS,
    FONT,
    INNER,
    LEFT,
    RIGHT,
    ROW,
    STYLES,
    WIDTH,
    Plot,
    inside,
    place,
)
from loganalyze.report.points import Cited, cited_points
from loganalyze.report.redact import redact, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure that is drawn.

    Attributes
    ----------
    notes
        What the drawing changed, and what it proves.
    axis
        Left and right end of the axes and width of the figure, in its own units, then first and last step:
        what the script needs to find a step.
    """

    key: str
    title: str
    svg: str
    notes: tuple[str, ...]
    description: str
    curves: tuple[Curve, ...]
    cited: tuple[Cited, ...]
    axis: tuple[float, float, float, float, float]


def draw(plot: Plot) -> Chart:
    """Draw a figure."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {
        "svg.fonttype": "none", "svg.hashsalt": plot.key, "font.family": "sans-serif",
        "font.size": FONT, "text.parse_math": False,
    }  # fmt: skip
    legend = rows_of(_legend(plot), INNER)
    labels, dropped = packed(_bands(plot), LEFT, WIDTH - RIGHT, BAND_ROWS)
    above = len(legend) + max((label.row + 1 for label in labels), default=0)
    total = ROW * above + 8 + plot.height + BOTTOM
    with mpl.rc_context(style):
        figure = Figure(figsize=(WIDTH / 72, total / 72))
        FigureCanvasSVG(figure)
        axes = figure.add_axes((LEFT / WIDTH, BOTTOM / total, INNER / WIDTH, plot.height / total))
        low, high, logarithmic = drawn.vertical(plot.curves, plot.proof.values, plot.decades)
        _frame(axes, plot, logarithmic=logarithmic)
        axes.set_ylim(low, high)
        if not any(len(curve.series.finite()) for curve in plot.curves):
            axes.set_yticks([])  # a range of nothing
        layers.behind(axes, plot)
        notes = drawn.draw(axes, plot.curves, plot.averages)
        layers.before(axes, plot)
        _head(figure, legend, labels, total)
        buffer = io.StringIO()
        figure.savefig(
            buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    if dropped:
        notes.append(f"{dropped:,} more findings are shaded without a label.")
    notes = [*plot.proof.notes, *notes]
    description = _describe(plot, notes)
    svg = theme.inline(buffer.getvalue(), plot.key, visible(redact(plot.title)), description)
    axis = (LEFT, WIDTH - RIGHT, WIDTH, *plot.limits)
    cited = cited_points(plot.curves, plot.findings)
    return Chart(plot.key, plot.title, svg, tuple(notes), description, plot.curves, cited, axis)


def _frame(axes: Axes, plot: Plot, *, logarithmic: bool) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

    axes.set_xlim(*plot.limits)
    if logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    # Formulas are off, so that nothing in a log is ever read as one: 0.01, not 10^{-2}.
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: amount(value)))
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(theme.GRID)
    axes.tick_params(colors=theme.MUTED, labelsize=FONT, length=3, width=0.6, pad=4)
    axes.tick_params(axis="y", which="both", length=0)
    axes.grid(visible=True, axis="y", color=theme.GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel(plot.axis, color=theme.MUTED, fontsize=FONT, labelpad=2)
    # There is no step between two steps.
    whole = plot.axis == "step"
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 2.5, 5, 10], integer=whole))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:,.0f}" if whole else amount(value))
    )


def amount(value: float) -> str:
    """Return a number for an axis: ``0.001``, ``25,000``, ``3.2M``, ``12G``, ``2e-05``."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6)):
        if size <= abs(value) < 1000 * size:
            return f"{value / size:.4g}{unit}"
    if 1e-4 <= abs(value) < 1e6:
        return f"{float(f'{value:.5g}'):,.10g}"
    return f"{value:.4g}".replace("e-0", "e-").replace("e+0", "e+")


def _bands(plot: Plot) -> list[Label]:
    return [
        Label(place(plot, steps[0]), finding.id, COLOURS[finding.severity])
        for finding, steps in inside(plot)
    ]


def _legend(plot: Plot) -> list[Entry]:
    shown = [mark.kind for mark in plot.marks]
    proof = plot.proof
    return [
        *drawn.legend(plot.curves, plot.averages),
        *(Entry(label, layers.IMAGINED) for label in proof.curves),
        *(Entry(ribbon.label, layers.RIBBON) for ribbon in proof.ribbons),
        *(Entry(kind.value, style) for kind, style in STYLES.items() if kind in shown),
    ]


def _head(
    figure: Figure,
    legend: Sequence[Sequence[tuple[float, Entry]]],
    labels: Sequence[Label],
    total: float,
) -> None:
    """Write the legend, and below it the names of the bands, where they begin."""
    head = figure.add_axes((0, 0, 1, 1))
    head.set_axis_off()
    head.set_xlim(0, WIDTH)
    head.set_ylim(0, total)
    for row, entries in enumerate(legend):
        height = total - ROW * (row + 0.5)
        for offset, entry in entries:
            left = LEFT + offset
            _sample(head, left, height, entry.style)
            head.text(left + 18, height, shown(entry.label), color=theme.MUTED, va="center")
    for label in labels:
        height = total - ROW * (len(legend) + label.row + 0.5) - 2
        head.text(
            label.left,
            height,
            label.text,
            color=label.colour,
            ha=label.align,
            va="center",
            fontweight="bold",
        )


def _sample(head: Axes, left: float, height: float, style: dict[str, Any]) -> None:
    """Draw a piece of a line, its marker in the middle."""
    line = {**style, "marker": "none"}
    if style.get("linestyle") != "none":
        head.plot([left, left + 14], [height, height], **line)
    if style.get("marker", "none") != "none":
        head.plot([left + 7], [height], **{**style, "linestyle": "none"})


def _describe(plot: Plot, notes: Sequence[str]) -> str:
    """State what the figure shows, for those who cannot see it."""
    parts = [_summary(curve) for curve in plot.curves]
    parts += [f"A dashed line marks {label}." for label in plot.proof.levels]
    parts += [f"A dashed curve shows {label}." for label in plot.proof.curves]
    parts += [f"A band marks the {ribbon.label}." for ribbon in plot.proof.ribbons]
    parts += [f"A ring marks {point.label}." for point in plot.proof.points]
    parts += [
        f"Shaded: {finding.id}, steps {first:,} to {last:,}. {finding.summary}"
        for finding, (first, last) in inside(plot)
    ]
    return visible(redact(" ".join(shortened(part, 600) for part in [*parts, *notes])))


def _summary(curve: Curve) -> str:
    import numpy as np

    clean, step = curve.series.finite().value, curve.series.step
    if not len(clean):
        return f"{curve.label}: {len(step):,} points, none of them finite."
    return (
        f"{curve.label}: {len(step):,} points from step {step[0]:,} to {step[-1]:,}, {clean[0]:.4g} "
        f"at first, {clean[-1]:.4g} at last, between {np.min(clean):.4g} and {np.max(clean):.4g}."
    )
