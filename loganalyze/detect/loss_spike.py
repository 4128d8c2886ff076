"""The loss jumps out of its own recent past, beyond the noise of this run.

What it does
------------
Each log loss is compared with the `window` points before it: ``z = (log x - median) / sigma`` with a robust
sigma of the point-to-point noise. A spike has z above `z` (`z_high`, if it stands `ratio_high` times above
the median), stands `ratio` times above the median, rises by more than `floor` of the whole range of the
loss, and is five times larger than nine tenths of this run's own moves. Where the gradient norm of the same
step stands `grad_ratio` times above its own level, z above `z_grad` and half as much are enough, clear of
all others: two measures agree. So is a cross-entropy `ratio` times above every loss before it, the first
ones too, at z above `z`. Neighbouring points are one spike. A log of 6 to 23 points has no such past: there
a value must stand `ratio_short` times above the median of all points and of those before it, by `z_short`
robust sigmas, and the finding says how little it rests on.

Why it matters
--------------
A spike is a batch, a learning rate or a precision that the model could not take. One that
recovers costs some steps; one that does not costs the run.

Not to be confused with
-----------------------
Heavy-tailed noise of small batches (its jumps are this run's habit, and its tail reaches that far). One
sample answered wrong in a batch, by a model whose loss is near 0: it adds its own loss over the size of the
batch (a note). One target far out, of whose squared error a batch is many times as large as the others (a
note, up to `z`). A new stage of a curriculum, from which the loss falls again (no more than a warning).
Relative noise of a loss near zero. The first points. An intended restart of the learning rate. Losses that
may be negative, adversarial and reinforcement losses, of which only sizes `away` times the usual one are
told.

Settings
--------
`window`, `z`, `ratio`, `z_high`, `ratio_high`, `grad_ratio`, `z_grad`, `z_short`, `ratio_short`, `floor`,
`habit`, `away`.

Fix
---
Look at the batch of that step; clip the gradient; lower the learning rate if spikes come back.

References
----------
Chowdhery et al., "PaLM" (2022), section 5.1: restart 100 steps before the spike, skip its
batches. Healthy language-model runs stay below z = 4.5 on the log loss over 100 points.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from loganalyze.detect.detector import Detected, Detector
from loganalyze.detect.odd_samples import are_odd_targets, are_single_samples
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import Run, Series
from loganalyze.settings import setting
from loganalyze.signals.loss_kind import LossKind, chance, loss_kind
from loganalyze.signals.lr import restarts
from loganalyze.signals.restart import told_restarts
from loganalyze.signals.robust import (
    groups,
    mad_sigma,
    noise_sigma,
    trailing_median,
    trailing_sigma,
)

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class SpikeSettings:
    """Thresholds of the check."""

    window: int = setting(50, unit="log points", source="a moving window of 50 losses")
    z: float = setting(
        8.0, unit="robust standard deviations", source="5 is exceeded by healthy heavy tails"
    )
    ratio: float = setting(2.0, unit="ratio to the level before", source="2 x the moving average")
    z_high: float = setting(
        5.0, unit="robust standard deviations", source="z > 5, for a jump so high"
    )
    ratio_high: float = setting(
        8.0, unit="ratio to the level before", source="no batch is so different"
    )
    grad_ratio: float = setting(
        10.0, unit="ratio of the gradient norm to its level", source="alpha 5 to 10, the upper end"
    )
    z_grad: float = setting(
        3.0, unit="robust standard deviations", source="z > 3 where a second measure agrees"
    )
    z_short: float = setting(
        5.0, unit="robust standard deviations", source="z > 5, for logs too short for a window"
    )
    ratio_short: float = setting(
        4.0, unit="ratio to the median", source="twice the usual: few points tell little of noise"
    )
    floor: float = setting(
        0.1, unit="share of the loss's range", source="less is invisible on the curve"
    )
    habit: float = setting(
        0.9, unit="quantile of this run's own moves", source="a jump that stays fills a few percent"
    )
    away: float = setting(
        1e4, unit="ratio to the median size", source="four orders of magnitude, whatever the loss"
    )


SHORTEST_WINDOW = 8
EARLIEST = 8  # log points before the first that can be judged; a longer window is filled as it goes
FEWEST = 6  # log points; fewer have no level of their own
SHORT_SIGMA = 0.05  # of the log loss: logs round, and few points may agree by chance
OF_A_GUESS = 0.5  # times log(C)
NEAR_ZERO = 0.02  # share of the loss's range, added before the logarithm is taken
HABIT_FACTOR_HIGH = 3.5  # the same for a jump of `ratio_high`
CLEAR_OF = 1.5  # times the highest move without a jump of the gradient: heavy tails leave no gap
HABIT_FACTOR_GRAD = 2.5  # the same where the gradient norm jumps as well
HABIT_FACTOR = 5.0  # times the habitual move; 8 standard deviations of normal noise
FIFTHS = 5  # of the run
MIDDLE = 2  # place of the third of them, by size
RECOVERED = 1.25  # times the level before: below it the spike is over
POINTS_FOR_TAIL = 150  # rises; with fewer the 99 % quantile is one or two points
AFTERWARDS = 10  # log points in which a jump of the first ones has come back
JUDGED_AFTER = 5  # log points after which a jump that has not come back counts as lasting
FALLING = 0.9  # of the level after the jump: below it the loss has resumed its fall
HARMLESS = 3.0  # a single recovered spike below this ratio is worth a note only


def detect(run: Run, settings: SpikeSettings) -> Detected:
    """Find jumps of the loss."""
    kind = loss_kind(run)
    series = run.series("train/loss").finite()
    if kind in (LossKind.REINFORCEMENT, LossKind.ADVERSARIAL, LossKind.UNBOUNDED):
        found = _run_away(series, settings)
        return found or NotApplicable(f"jumps are ordinary for {kind.value}")
    window = min(settings.window, len(series) // 3)
    if len(series) < FEWEST:
        return NotApplicable(f"{len(series)} losses are too few, {FEWEST} needed")
    nan_follows = _before_a_nan(run.series("train/loss"), series)
    if window < SHORTEST_WINDOW:
        return _in_short_log(series, nan_follows, settings)
    jumped = _gradient_jumped(run, series, window, settings)
    least = _least_span(run, kind)
    hits, level, z = _outliers(series, jumped, window, least, settings)
    if kind is LossKind.CROSS_ENTROPY:
        records = _records(series.value, window, settings)
        hits = hits | (records & (series.value > settings.floor * least))
    hits &= ~nan_follows
    near_restart = np.isin(series.step, np.concatenate([restarts(run), told_restarts(run)]))
    near_restart[1:] |= np.diff(series.segment) > 0
    spikes = [s for s in groups(hits, gap=3) if not near_restart[max(s[0] - 3, 0) : s[1] + 1].any()]
    if not spikes:
        return ()
    told = _finding(series, spikes, level, z, window)
    ordinary = are_single_samples(run, series, spikes, level)
    if kind in (LossKind.REGRESSION, LossKind.OTHER):
        tails = bool(np.all([z[first] <= settings.z for first, _ in spikes]))
        ordinary = ordinary or (tails and are_odd_targets(series, spikes, level))
    return (replace(told, severity=Severity.INFO) if ordinary else told,)


def _run_away(series: Series, settings: SpikeSettings) -> tuple[Finding, ...]:
    """Judge a loss of any sign by its size alone: it ran away and came back."""
    size = np.abs(series.value)
    if len(size) < SHORTEST_WINDOW:
        return ()
    usual = float(np.median(size))
    if usual <= 0:
        return ()
    hits = size > settings.away * usual
    hits[-1] = False  # what does not come back is no spike
    spikes = groups(hits, gap=len(size))
    sizes = replace(series, value=size)
    level, z = np.full(len(size), usual), np.minimum(size / usual, 1e6)
    return (_finding(sizes, spikes, level, z, len(size)),) if spikes else ()


def _in_short_log(
    series: Series, nan_follows: BoolArray, settings: SpikeSettings
) -> tuple[Finding, ...]:
    """Judge a log too short for a moving window: a value far above all others and those before it."""
    value = series.value
    if not (value > 0).all():
        return ()
    curve = np.log(value)
    middle, sigma = float(np.median(curve)), max(mad_sigma(curve), SHORT_SIGMA)
    before = np.array([np.median(value[:i]) if i >= 2 else np.inf for i in range(len(value))])
    hits = (
        (curve - middle > settings.z_short * sigma)
        & (value > settings.ratio_short * np.exp(middle))
        & (value > settings.ratio_short * before)
        & ~nan_follows
    )
    spikes = groups(hits, gap=1)
    level = np.full(len(value), np.exp(middle))
    return (
        (_finding(series, spikes, level, (curve - middle) / sigma, len(series)),) if spikes else ()
    )


def _least_span(run: Run, kind: LossKind) -> float:
    """Return the range that a curve has at least: half of what a guess costs, where that is known.

    A model that has learned all before the log begins leaves a curve of nothing but wrong samples.
    """
    guess = chance(run) if kind is LossKind.CROSS_ENTROPY else None
    return OF_A_GUESS * guess.log_c if guess is not None else 0.0


def _outliers(
    series: Series, jumped: BoolArray, window: int, least: float, settings: SpikeSettings
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mark the points that stand out; return the mark, the level before and the z-score."""
    value = series.value
    low, high = np.quantile(value[: max(window, 10)], 0.9), np.quantile(value, 0.02)
    span = max(abs(low - high), least, 1e-12)
    positive = bool((value > 0).all())
    # Near zero losses scatter by factors that no curve shows: there the scale is that of the curve.
    curve = np.log(value + NEAR_ZERO * span) if positive else value
    middle = trailing_median(curve, window, EARLIEST)
    sigma = trailing_sigma(curve, window, EARLIEST)
    # A few points know little of the noise: what the whole run has of it is the least.
    sigma[:window] = np.maximum(sigma[:window], noise_sigma(curve))
    level = np.exp(middle) - NEAR_ZERO * span if positive else middle
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (curve - middle) / np.maximum(sigma, 1e-12)
        ratio = value / level
    rise = value - level
    move = curve - middle
    # Around the level of its own time: a steady fall leaves the past high above, which is no habit.
    around = np.r_[middle[window // 2 + 1 :], np.full(window // 2 + 1, middle[-1])]
    habit = _habit(np.abs(curve - around), settings)
    visible = (ratio > settings.ratio) & (rise > settings.floor * span)
    agreed = jumped & visible & (z > settings.z_grad) & (move > HABIT_FACTOR_GRAD * habit)
    others = move[np.isfinite(move) & ~jumped]
    agreed &= move > CLEAR_OF * (others.max() if len(others) else 0.0)
    agreed &= positive  # near 0 the loss and its gradient swing by factors together
    hits = (
        visible
        & ((z > settings.z) | ((z > settings.z_high) & (ratio > settings.ratio_high)))
        & (move > np.where(ratio > settings.ratio_high, HABIT_FACTOR_HIGH, HABIT_FACTOR) * habit)
    )
    hits &= move > _expected_highest(move, hits)
    # Where little is known of the level, a jump that stays may be the level.
    first = value[: window + AFTERWARDS + 1]
    soon = trailing_median(first[::-1], AFTERWARDS, JUDGED_AFTER)[::-1]
    with np.errstate(invalid="ignore"):
        hits[:window] &= soon[:window] < (level + rise / 2)[:window]
    return hits | agreed, level, z


def _habit(moves: np.ndarray, settings: SpikeSettings) -> float:
    """Return how far this run moves as a rule: in the fifth of it that is neither restless nor calm.

    A burst of spikes fills its own fifth, the first fall another one; heavy tails are everywhere.
    """
    parts = np.array_split(moves, FIFTHS)
    return float(np.sort([np.nanquantile(part, settings.habit) for part in parts])[MIDDLE])


def _before_a_nan(logged: Series, finite: Series) -> BoolArray:
    """Mark the last points before a loss that is no number: they rise to it, and that is told there."""
    bad = np.flatnonzero(~np.isfinite(logged.value))
    ends = np.unique(np.searchsorted(finite.step, logged.step[bad], side="right") - 1)
    out = np.zeros(len(finite), dtype=bool)
    for back in range(JUDGED_AFTER):
        out[ends[ends >= back] - back] = True
    return out


def _records(value: np.ndarray, window: int, settings: SpikeSettings) -> BoolArray:
    """Mark the losses far above all before them, the first ones too: worse than knowing nothing.

    Near 0 batches differ by factors, and the log loss does not tell a jump from them. Not for squared
    errors, of which a single sample may be as large as you like.
    """
    highest = np.r_[np.inf, np.maximum.accumulate(value)[:-1]]
    noise = np.maximum(trailing_sigma(value, window), 1e-12)
    with np.errstate(invalid="ignore"):
        z = (value - trailing_median(value, window)) / noise
        above: BoolArray = (value > settings.ratio * highest) & (highest > 0)
    return above & (z > settings.z)


def _gradient_jumped(run: Run, series: Series, window: int, settings: SpikeSettings) -> BoolArray:
    """Mark the losses at whose step the gradient norm stands far above its own level."""
    norm = run.series("train/grad_norm").finite()
    if len(norm) <= window:
        return np.zeros(len(series), dtype=bool)
    with np.errstate(invalid="ignore"):
        high = norm.value > settings.grad_ratio * trailing_median(norm.value, window)
    return np.isin(series.step, norm.step[high])


def _expected_highest(move: np.ndarray, hits: np.ndarray) -> float:
    """Return the rise that this run's own noise exceeds once in ten such runs.

    The tail of the other rises is continued as a power law through its 90 % and 99 % quantiles:
    heavy tails reach far, normal noise does not.
    """
    rises = move[np.isfinite(move) & (move > 0) & ~hits]
    if len(rises) < POINTS_FOR_TAIL:
        return 0.0
    usual, rare = np.quantile(rises, [0.9, 0.99])
    return float(usual * (rare / usual) ** np.log10(len(rises)))


def _finding(
    series: Series, spikes: list[tuple[int, int]], level: np.ndarray, z: np.ndarray, window: int
) -> Finding:
    worst = max(spikes, key=lambda s: float(np.max(series.value[s[0] : s[1] + 1] / level[s[0]])))
    peak = worst[0] + int(np.argmax(series.value[worst[0] : worst[1] + 1]))
    before = float(level[worst[0]])
    ratio = float(series.value[peak]) / before
    after = np.flatnonzero(series.value[peak:] <= RECOVERED * before)
    recovered = bool(len(after))
    steps_to_recover = int(series.step[peak + after[0]] - series.step[peak]) if recovered else -1
    severity = Severity.WARNING
    lasting = not recovered and _lasts(series.value[worst[0] :])
    if lasting:
        severity = Severity.CRITICAL
    elif recovered and len(spikes) == 1 and ratio < HARMLESS:
        severity = Severity.INFO
    where = "the whole log" if window == len(series) else f"the {window} points before it"
    came_back = "it did not come back" if lasting else "it is not back at the end of the log"
    if recovered:
        came_back = f"back {_steps(steps_to_recover)} later"
    more = f"; {len(spikes)} spikes in all" if len(spikes) > 1 else ""
    return Finding(
        id="loss-spike",
        severity=severity,
        confidence=0.9 if len(series) >= 3 * window else 0.55,
        title=f"The loss jumps to {ratio:.1f} x its level",
        summary=(
            f"At step {series.step[peak]:,} the train loss is {series.value[peak]:.4g}, {ratio:.1f} x the "
            f"{before:.4g} of {where} ({z[peak]:.0f} robust standard deviations); "
            f"{came_back}{more}."
        ),
        steps=(int(series.step[worst[0]]), int(series.step[worst[1]])),
        metrics=("train/loss",),
        evidence={
            "step": int(series.step[peak]),
            "value": float(series.value[peak]),
            "level_before": before,
            "ratio_to_level": ratio,
            "robust_z": float(min(z[peak], 1e6)),
            "steps_to_recover": steps_to_recover if recovered else "never",
            "count": len(spikes),
        },
        where=tuple(series.where(first) for first, _ in spikes[:5]),
        fix=(
            f"Look at the batches of the steps up to {series.step[peak]:,}; clip the gradient norm at 1.0",
        ),
    )


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count:,} steps"


def _lasts(after: np.ndarray) -> bool:
    """Tell whether a jump stays: seen for long enough, and the loss does not fall again from it."""
    if len(after) <= JUDGED_AFTER:
        return False
    quarter = max(1, len(after) // 4)
    return bool(np.median(after[-quarter:]) > FALLING * np.median(after[:quarter]))


DETECTOR = Detector(
    id="loss-spike",
    group="spike",
    passed="The loss does not jump",
    failed="The loss jumps out of its own past",
    requires=("train/loss",),
    settings=SpikeSettings,
    detect=detect,
)
