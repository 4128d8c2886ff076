"""How far B lies from A: at the end of what both logged, and where both had spent the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from loganalyze.compare.axis import Aligned, align, placed
from loganalyze.compare.between import between
from loganalyze.compare.noise import blocks_of
from loganalyze.compare.parting import quantile, two_sided
from loganalyze.compare.values import Axis, Level

if TYPE_CHECKING:
    from loganalyze.compare.noise import Blocks
    from loganalyze.compare.scale import Scale
    from loganalyze.run import FloatArray, Run, Series

LAST = 0.15  # share of the blocks that the level at an end is of
FEWEST = 3  # points of a level


def level_at_end(
    aligned: Aligned, blocks: Blocks, seed: FloatArray, scale: Scale, axis: Axis
) -> Level | None:
    """Return the levels of two curves over the last blocks, and their difference with its interval."""
    if len(aligned.at) < FEWEST:
        return None
    taken = max(1, round(LAST * len(blocks)))
    while taken < len(blocks) and len(aligned.at) - blocks.first[-1 - taken] < FEWEST:
        taken += 1
    change = float(np.mean(blocks.mean[-taken:]))
    noise = float(np.sqrt(np.sum(blocks.error[-taken:] ** 2))) / taken
    error = float(np.hypot(noise, np.mean(seed[-taken:])))
    late = slice(blocks.first[-1 - taken], None)
    a, b = (_middle(values[late], scale) for values in (aligned.a, aligned.b))
    reach = quantile() * error
    return Level(
        axis, float(aligned.at[-1]), a, b, change, change - reach, change + reach,
        two_sided(change / error) if error else 1.0,
    )  # fmt: skip


def _middle(values: FloatArray, scale: Scale) -> float:
    mean = float(np.mean(scale.of(values)))
    return float(np.exp(mean)) if scale.logarithmic else mean


def levels(
    runs: tuple[Run, Run],
    series: tuple[Series, Series],
    scale: Scale,
    chosen: Axis,
    noise: float,
) -> tuple[Level, ...]:
    """Return the levels at the end of what both logged, on every axis that both can be placed on.

    The first is on the axis that was chosen. Others are left out where both runs spent the same at the same
    step.
    """
    found: list[Level] = []
    for axis in (chosen, *(axis for axis in Axis if axis is not chosen)):
        level = _level(runs, series, scale, axis, noise)
        if level is None:
            continue
        if not found or abs(level.change - found[0].change) > 1e-9 * max(abs(level.change), 1e-9):
            found.append(level)
    return tuple(found)


def _level(
    runs: tuple[Run, Run], series: tuple[Series, Series], scale: Scale, axis: Axis, noise: float
) -> Level | None:
    points = [placed(run, one, axis) for run, one in zip(runs, series, strict=True)]
    if points[0] is None or points[1] is None:
        return None
    aligned = align(points[0], points[1])
    if aligned is None or len(aligned.at) < FEWEST:
        return None
    blocks = blocks_of(scale.of(aligned.b) - scale.of(aligned.a))
    evaluated = series[0].metric.startswith("eval/")
    seed = between(aligned, blocks, scale, evaluated=evaluated, noise=noise)
    return level_at_end(aligned, blocks, seed, scale, axis)
