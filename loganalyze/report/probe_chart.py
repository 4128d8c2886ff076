"""Figures of a probe, drawn from their data in the colours of the page."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

from loganalyze.probed import Drawn, ProbeFigure
from loganalyze.report import theme
from loganalyze.report.figure import amount
from loganalyze.report.labels import shown
from loganalyze.report.redact import redact, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 640.0, 230.0  # points of 1/72 inch
BAR = 13.0  # height of a bar with its name
FONT = 8.0
LONGEST = 34  # letters of a bar's name
LINES = (theme.LINE_1, theme.LINE_2, theme.LINE_3, theme.LINE_4)
NAMED_POINTS = 12  # of a line: from here on the points are not marked


def drawn(figure: ProbeFigure, key: str) -> str:
    """Return the figure as SVG that stands in the page."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {
        "svg.fonttype": "none", "svg.hashsalt": key, "font.family": "sans-serif",
        "font.size": FONT, "text.parse_math": False,
    }  # fmt: skip
    bars = figure.drawn is Drawn.BARS
    height = max(BAR * len(figure.names) + 60, 110) if bars else HEIGHT
    with mpl.rc_context(style):
        canvas = Figure(figsize=(WIDTH / 72, height / 72), layout="constrained")
        FigureCanvasSVG(canvas)
        axes = canvas.add_subplot()
        (_bars if bars else _lines)(axes, figure)
        _frame(axes, figure, bars=bars)
        buffer = io.StringIO()
        canvas.savefig(
            buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    title = visible(redact(figure.title))
    return theme.inline(buffer.getvalue(), key, title, described(figure))


def described(figure: ProbeFigure) -> str:
    """State what a figure shows, for those who cannot see it."""
    parts = []
    for curve in figure.curves:
        finite = [value for value in curve.y if math.isfinite(value)]
        if finite:
            parts.append(
                f"{curve.label}: {len(curve.y):,} points, {finite[0]:.4g} at first, {finite[-1]:.4g} at "
                f"last, between {min(finite):.4g} and {max(finite):.4g}."
            )
    parts += [f"A dashed line marks {label}." for label in (*figure.levels, *figure.places)]
    return visible(redact(" ".join(parts)))


def _lines(axes: Axes, figure: ProbeFigure) -> None:
    for position, curve in enumerate(figure.curves):
        marker = "o" if len(curve.y) <= NAMED_POINTS else None
        axes.plot(
            list(curve.x), list(curve.y), color=LINES[position % len(LINES)], linewidth=1.3, marker=marker,
            markersize=3, label=shown(curve.label),
        )  # fmt: skip
    for label, value in figure.levels.items():
        axes.axhline(value, color=theme.WARN, linewidth=0.9, linestyle="--", label=shown(label))
    for label, value in figure.places.items():
        axes.axvline(value, color=theme.INFO, linewidth=0.9, linestyle=":", label=shown(label))
    if figure.log_x:
        axes.set_xscale("log")
    if figure.log_y:
        axes.set_yscale("log")


def _bars(axes: Axes, figure: ProbeFigure) -> None:
    """Draw bars from the top down, those of several curves side by side."""
    count = max(len(figure.curves), 1)
    thick = 0.8 / count
    for position, curve in enumerate(figure.curves):
        places = [i + thick * (position - (count - 1) / 2) for i in range(len(curve.y))]
        axes.barh(
            places, list(curve.y), thick, color=LINES[position % len(LINES)], label=shown(curve.label)
        )  # fmt: skip
    names = [name if len(name) <= LONGEST else f"...{name[-LONGEST:]}" for name in figure.names]
    axes.set_yticks(range(len(names)), [visible(redact(name)) for name in names])
    axes.invert_yaxis()
    if figure.log_y:
        axes.set_xscale("log")
    for label, value in figure.levels.items():
        axes.axvline(value, color=theme.WARN, linewidth=0.9, linestyle="--", label=shown(label))


def _frame(axes: Axes, figure: ProbeFigure, *, bars: bool) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(theme.GRID)
    axes.tick_params(colors=theme.MUTED, labelsize=FONT, length=3, width=0.6)
    axes.grid(visible=True, axis="x" if bars else "y", color=theme.GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    for axis in (axes.xaxis,) if bars else (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: amount(value)))
        axis.set_minor_formatter(NullFormatter())
    across, up = (figure.y_label, figure.x_label) if bars else (figure.x_label, figure.y_label)
    axes.set_xlabel(shown(across), color=theme.MUTED, fontsize=FONT)
    axes.set_ylabel(shown(up), color=theme.MUTED, fontsize=FONT)
    if len(figure.curves) + len(figure.levels) + len(figure.places) > 1:
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False, fontsize=FONT,
            labelcolor=theme.MUTED,
        )  # fmt: skip
