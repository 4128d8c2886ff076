"""Where a figure has room for a label: the place that covers the fewest points of the curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from loganalyze.report.curves import Curve
    from loganalyze.run import FloatArray

TOP, BOTTOM = 0.985, 0.0  # shares of the axes that a label keeps to
OTHER_LABEL = 1000.0  # a label under a label is worse than any curve under it
OUTSIDE = 500.0


class Taken:
    """What is drawn already, in shares of the axes."""

    def __init__(self, axes: Axes, curves: Sequence[Curve]) -> None:
        import numpy as np

        parts = [_points(axes, one) for one in curves]
        self._x = np.concatenate([x for x, _ in parts])
        self._y = np.concatenate([y for _, y in parts])
        self._labels: list[tuple[float, float, float, float]] = []

    def quietest(
        self, corners: Sequence[tuple[float, float]], size: tuple[float, float]
    ) -> tuple[float, float]:
        """Return the best lower left corner for a label of that size, the first of equals; take it."""
        best = min(corners, key=lambda corner: self._cost(corner, size))
        self._labels.append((*best, best[0] + size[0], best[1] + size[1]))
        return best

    def _cost(self, corner: tuple[float, float], size: tuple[float, float]) -> float:
        left, low = corner
        right, high = left + size[0], low + size[1]
        under = (self._x >= left) & (self._x <= right) & (self._y >= low) & (self._y <= high)
        over = [a < right and left < c and b < high and low < d for a, b, c, d in self._labels]
        outside = left < 0 or right > 1.001 or low < BOTTOM or high > TOP
        return float(under.sum()) + OTHER_LABEL * sum(over) + OUTSIDE * outside


def to_axes(axes: Axes, step: float, value: float) -> tuple[float, float]:
    """Return a point of the data in shares of the axes."""
    x, y = axes.transAxes.inverted().transform(axes.transData.transform((step, value)))
    return float(x), float(y)


def _points(axes: Axes, one: Curve) -> tuple[FloatArray, FloatArray]:
    """Return the points of a curve and, where it is drawn with few, points along its lines."""
    import numpy as np

    good = np.isfinite(one.value)
    if axes.get_yscale() == "log":
        good &= one.value > 0
    step, value = one.step[good].astype(float), one.value[good]
    if not len(step):
        return step, value
    pixels = axes.transData.transform(np.column_stack([step, value]))
    x, y = axes.transAxes.inverted().transform(pixels).T
    dense = np.linspace(x[0], x[-1], 400)
    return np.concatenate([x, dense]), np.concatenate([y, np.interp(dense, x, y)])
