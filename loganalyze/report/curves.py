"""The curves of a figure: thinned without losing an extreme, averaged, clipped and all of that said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loganalyze.report import theme
from loganalyze.report.envelope import envelope

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from loganalyze.run import FloatArray, IntArray, Series

CLIP = 4.0  # times the span of the inner 98 %: what lies beyond is pointed at, not drawn to scale
CLIP_FROM = 50  # points from which the inner 98 % mean something
LOG_DECADES = 3  # positive curves that span more are drawn on a logarithmic axis
LOG_PROOF = 50.0  # highest over lowest from which a proof does not fit a linear axis
SMOOTHED_FROM = 60  # points from which a smoothed curve helps
SMOOTH = 0.01  # noise over range below which a curve, such as a schedule, needs no average
SPAN = 1 / 30  # of the series that the drawn moving average runs over: enough to see, little lag
BETA_LIMIT = 0.99  # of the average: past it the eye cannot tell the difference
AVERAGE_POINTS = 400  # that the average, which is smooth, is drawn with
TRIANGLES = 80  # that stand for values that are no numbers
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)))
COLOURS = (theme.LINE_1, theme.LINE_2, theme.LINE_3, theme.LINE_4)


@dataclass(frozen=True, slots=True)
class Curve:
    """A series as it is drawn.

    Attributes
    ----------
    label
        Its name in the legend.
    kept
        Indices of the points that are drawn.
    noisy
        Whether a moving average shows more than the points.
    """

    label: str
    series: Series
    kept: IntArray
    noisy: bool

    @property
    def step(self) -> IntArray:
        """Steps of the drawn points."""
        return self.series.step[self.kept]

    @property
    def value(self) -> FloatArray:
        """Values of the drawn points."""
        return self.series.value[self.kept]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the legend: the style of the line or mark, and its name."""

    label: str
    style: dict[str, Any]


def curve(label: str, series: Series, buckets: int, cited: Sequence[int]) -> Curve:
    """Thin a series to its extremes and the points that are cited."""
    kept = envelope(series.value, buckets, cited)
    return Curve(label, series, kept, len(series) > SMOOTHED_FROM and not _is_smooth(series))


def thinning(one: Curve) -> str:
    """Say how a curve was thinned; empty where every point is drawn."""
    total, drawn = len(one.series), len(one.kept)
    if drawn == total:
        return ""
    return (
        f"{one.label}: {total:,} points, drawn as {drawn:,}: the lowest and the highest of each "
        f"{round(2 * total / drawn):,}, and what is cited."
    )


def vertical(
    curves: Sequence[Curve], proof: Sequence[float], decades: float = LOG_DECADES
) -> tuple[float, float, bool]:
    """Choose the vertical range.

    Parameters
    ----------
    proof
        Values that must be inside.
    decades
        That positive values span at least for a logarithmic axis.

    Returns
    -------
    low, high
        A range that holds the curves but for rare extremes far away.
    logarithmic
        Whether the axis is.
    """
    import numpy as np

    values = np.concatenate([c.series.value[np.isfinite(c.series.value)] for c in curves])
    levels = np.asarray(proof, dtype=float)
    levels = levels[np.isfinite(levels)]
    every = np.concatenate([values, levels])
    if not len(every):
        return 0.0, 1.0, False
    positive = every[every > 0]
    if every.min() >= 0 and _is_wide(values[values > 0], levels[levels > 0], decades):
        room = max(1.4, (positive.max() / positive.min()) ** 0.06)
        return float(positive.min() / room), float(positive.max() * room), True
    low, high = _robust(values if len(values) else levels)
    low, high = min([low, *levels]), max([high, *levels])
    pad = 0.06 * max(high - low, 0.05 * abs(high)) or 1.0
    return float(low - pad), float(high + pad), False


def _is_wide(values: FloatArray, levels: FloatArray, decades: float) -> bool:
    """Tell whether positive values do not fit on a linear axis: all but a few, or with what must be shown."""
    import numpy as np

    if not len(values):
        return False
    low, high = np.quantile(values, (0.05, 0.95))
    if high / low > 10.0**decades:
        return True
    # A level or a point far from the curve would press the curve flat.
    return len(levels) > 0 and bool(
        levels.max() > LOG_PROOF * high or levels.min() < low / LOG_PROOF
    )


def _robust(values: FloatArray) -> tuple[float, float]:
    import numpy as np

    inner = (
        np.quantile(values, (0.01, 0.99))
        if len(values) > CLIP_FROM
        else (values.min(), values.max())
    )
    span = max(inner[1] - inner[0], 1e-12 + 0.02 * abs(inner[1]))
    return max(values.min(), inner[0] - CLIP * span), min(values.max(), inner[1] + CLIP * span)


BROKEN = "NaN or infinite"
_TRIANGLE: dict[str, Any] = {
    "linestyle": "none",
    "marker": "v",
    "markersize": 5,
    "color": theme.CRIT,
}


def legend(curves: Sequence[Curve], averages: int) -> list[Entry]:
    """Return what the legend says of the curves, of which the first `averages` have a moving average."""
    import numpy as np

    entries = []
    for index, one in enumerate(curves):
        averaged = one.noisy and index < averages
        entries.append(Entry(one.label, _style(one, index, averaged=averaged)))
        if averaged:
            label = f"moving average, beta {_beta(one.series):.2g}"
            entries.append(Entry(label, _average_style(index)))
    if any(not np.isfinite(one.series.value).all() for one in curves):
        entries.append(Entry(BROKEN, _TRIANGLE))
    return entries


def draw(axes: Axes, curves: Sequence[Curve], averages: int) -> list[str]:
    """Draw the curves inside the range of the axes; return what the caption must say of them.

    The first `averages` of them have a moving average, where they are noisy.
    """
    notes: list[str] = []
    for index, one in enumerate(curves):
        _line(axes, one, index, averaged=one.noisy and index < averages)
        notes += [thinning(one), *_clipped(axes, one), _rail(axes, one)]
    return [note for note in notes if note]


def _style(one: Curve, index: int, *, averaged: bool) -> dict[str, Any]:
    return {
        "color": COLOURS[index % len(COLOURS)],
        "linestyle": DASHES[index % len(DASHES)],
        "linewidth": 0.8 if averaged else 1.2,
        "alpha": 0.4 if averaged else 1.0,
        "marker": "o" if len(one.series) <= SMOOTHED_FROM else "none",
        "markersize": 2.8,
    }


def _average_style(index: int) -> dict[str, Any]:
    return {"color": COLOURS[index % len(COLOURS)], "linewidth": 1.7}


def _line(axes: Axes, one: Curve, index: int, *, averaged: bool) -> None:
    import numpy as np

    low, high = axes.get_ylim()
    inside = np.where(np.isfinite(one.value), np.clip(one.value, low, high), np.nan)
    style = _style(one, index, averaged=averaged)
    axes.plot(one.step, inside, **style)
    alone = _alone(one.value)
    if alone.any() and style["marker"] == "none":
        dot: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 2.8}
        axes.plot(one.step[alone], inside[alone], color=style["color"], **dot)
    if averaged:
        _average(axes, one.series, index)


def _beta(series: Series) -> float:
    return min(1.0 - 1.0 / max(4.0, SPAN * len(series.finite())), BETA_LIMIT)


def _average(axes: Axes, series: Series, index: int) -> None:
    """Draw the moving average of the whole series; only its drawing is thinned."""
    import numpy as np

    from loganalyze.signals.smooth import ema

    clean = series.finite()
    mean = ema(clean.value, _beta(series))
    part = np.unique(np.linspace(0, len(clean) - 1, AVERAGE_POINTS).astype(int))
    low, high = axes.get_ylim()
    axes.plot(clean.step[part], np.clip(mean[part], low, high), **_average_style(index))


def _is_smooth(series: Series) -> bool:
    """Tell whether a curve has hardly any point-to-point noise: an average would only lag behind it."""
    import numpy as np

    from loganalyze.signals.robust import noise_sigma

    value = series.finite().value
    return not len(value) or noise_sigma(value) <= SMOOTH * float(np.ptp(value))


def _alone(values: FloatArray) -> Any:
    """Mark the numbers between two that are none: a line does not show them."""
    import numpy as np

    padded = np.isfinite(np.concatenate([[np.nan], values, [np.nan]]))
    return padded[1:-1] & ~padded[:-2] & ~padded[2:]


def _clipped(axes: Axes, one: Curve) -> list[str]:
    """Point at values beyond the axis, and say how many there are."""
    import numpy as np

    notes = []
    value, (low, high) = one.series.value, axes.get_ylim()
    sides = (
        (value > high, "above", "highest", np.argmax, "^", 0.985),
        (value < low, "below", "lowest", np.argmin, "v", 0.015),
    )
    for beyond, side, extreme, pick, marker, height in sides:
        out = np.flatnonzero(beyond & np.isfinite(value))
        if not len(out):
            continue
        worst = out[pick(value[out])]
        shown = out[np.unique(np.linspace(0, len(out) - 1, TRIANGLES).astype(int))]
        axes.plot(
            one.series.step[shown], np.full(len(shown), height), linestyle="none", marker=marker,
            markersize=4, color=theme.FG, transform=axes.get_xaxis_transform(),
        )  # fmt: skip
        word = "point lies" if len(out) == 1 else "points lie"
        notes.append(
            f"{one.label}: {len(out):,} {word} {side} the axis (arrows), the {extreme} "
            f"{value[worst]:.6g} at step {one.series.step[worst]:,}."
        )
    return notes


def _rail(axes: Axes, one: Curve) -> str:
    """Show values that are no numbers as triangles along the top."""
    import numpy as np

    bad = np.flatnonzero(~np.isfinite(one.series.value))
    if not len(bad):
        return ""
    shown = bad[np.unique(np.linspace(0, len(bad) - 1, TRIANGLES).astype(int))]
    axes.plot(
        one.series.step[shown],
        np.full(len(shown), 0.965),
        transform=axes.get_xaxis_transform(),
        **_TRIANGLE,
    )
    word = "value is" if len(bad) == 1 else "values are"
    return f"{one.label}: {len(bad):,} {word} NaN or infinite (triangles at the top)."
