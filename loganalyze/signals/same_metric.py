"""Two records of one metric: where they differ, and what the numbers say about why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from loganalyze.run import Series
from loganalyze.signals.smooth import ema

if TYPE_CHECKING:
    from loganalyze.run import FloatArray, IntArray

SAMPLE = 300  # values looked at to see how many digits were printed
FEW = 10  # values, from which on the last digit printed shows in one of them
FINE = 9  # digits printed, beyond which single precision is coarser
SINGLE = 1e-6  # relative rounding of single precision, with some room
EXPLAINED = 0.2  # share of the difference that an explanation may leave
MATCHING = 0.9  # share of points that must match for an explanation by other steps or units
LONGEST = 50_000  # points from the beginning on which explanations are tried
FEWEST = 4  # points on which an explanation may rest
FACTOR_SPREAD = 5e-3  # relative spread of a ratio that counts as one factor
BITS = float(np.log2(np.e))  # bits in a nat
BIASED = 3.0  # standard errors of the mean difference
NOISE_FACTOR = 3.0  # times the point-to-point noise, up to which a difference is scatter
BETAS = (0.6, 0.9, 0.95, 0.98, 0.99, 0.999)  # usual weights of smoothing
WINDOWS = (5, 10, 20, 50, 100)  # usual lengths of moving averages


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two series at their common steps; ``left`` and ``right`` index the points compared.

    ``differs`` marks those that differ by more than both were rounded.
    """

    one: Series
    two: Series
    left: IntArray
    right: IntArray
    differs: np.ndarray

    @property
    def values(self) -> tuple[FloatArray, FloatArray]:
        """The values at the common steps."""
        return self.one.value[self.left], self.two.value[self.right]

    @property
    def hides(self) -> bool:
        """Whether they differ only where one of them is not finite."""
        a, b = self.values
        return bool((np.isfinite(a) & np.isfinite(b) & self.differs).sum() == 0)


def compare(one: Series, two: Series, rounded: FloatArray | None = None) -> Comparison:
    """Compare two records of one metric at their common steps.

    `rounded` is the `rounding` of the first, where it is at hand.
    """
    _, left, right = np.intersect1d(one.step, two.step, assume_unique=True, return_indices=True)
    with np.errstate(all="ignore"):
        own = rounding(one.value) if rounded is None else rounded
        tolerance = own[left] + rounding(two.value)[right]
        equal = _equal(one.value[left], two.value[right], tolerance)
    return Comparison(one, two, left, right, ~equal)


def _equal(a: FloatArray, b: FloatArray, tolerance: FloatArray) -> np.ndarray:
    near = np.abs(a - b) <= tolerance
    return np.asarray(near | (a == b) | (np.isnan(a) & np.isnan(b)))


def rounding(values: FloatArray) -> FloatArray:
    """Return how far each value may be from what was rounded or cut off to print it.

    A writer prints either a fixed number of decimals or of significant digits; whichever of the two
    the values themselves show to be coarser.
    """
    finite = values[np.isfinite(values)]
    smallest = float(np.abs(finite).min(initial=np.inf))
    picked = finite[:: max(1, len(finite) // SAMPLE)]
    size = np.abs(np.where(np.isfinite(values), values, 0.0))
    decimals = digits = 0
    for value in picked.tolist():
        if digits >= FINE and 10.0**-decimals <= SINGLE * smallest:
            break  # finer than single precision everywhere: more digits change nothing
        shown, exponent = _digits(value)
        # Among few values zeros at the end may be digits: 100 and 200 are not numbers of one digit.
        digits = max(digits, shown + (max(exponent, 0) if len(picked) < FEW else 0))
        decimals = max(decimals, -exponent)
    leading = np.floor(np.log10(np.maximum(size, 1e-300)) + 1e-9)
    by_digits = np.where(size > 0, 10.0 ** (leading + 1 - max(digits, 1)), 0.0)
    return np.asarray(np.maximum(np.maximum(10.0**-decimals, by_digits), SINGLE * size))


def _digits(value: float) -> tuple[int, int]:
    """Return the number of digits of a finite number without zeros at its ends, and the power of the last."""
    mantissa, _, power = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    shown = len(digits.rstrip("0"))
    if not shown:
        return 1, 0
    return shown, int(power or 0) - len(fraction) + len(digits) - shown


def explain(found: Comparison, factors: dict[str, float]) -> str | None:
    """Say what the difference is, where the numbers show it.

    Parameters
    ----------
    found
        The comparison.
    factors
        Known factors by what they mean: ``{"the 8 batches of an update": 8.0}``.

    Returns
    -------
    str or None
        A clause such as "train.log holds the mean over the logging interval"; None where nothing
        fits.
    """
    one, two = (side.finite().take(slice(LONGEST)) for side in (found.one, found.two))
    if found.hides:
        return (
            "one has NaN or infinity where the other has a number: a filter or an average hides it"
        )
    with np.errstate(all="ignore"):  # numbers of any size may stand in a log
        return (
            _by_shift(one, two)
            or _by_factor(*found.values, factors)
            or _by_epoch(one, two)
            or _by_epoch(two, one)
            or _by_average(one, two)
            or _by_average(two, one)
            or _by_scatter(*found.values)
        )


def _by_shift(one: Series, two: Series) -> str | None:
    """The same values at other steps: counted from 0 and from 1, or logged one interval later."""
    interval = int(np.median(np.diff(two.step))) if len(two) > 1 else 1
    for offset in dict.fromkeys((1, -1, interval, -interval)):
        _, left, right = np.intersect1d(
            one.step, two.step + offset, assume_unique=True, return_indices=True
        )
        if len(left) < FEWEST:
            continue
        tolerance = rounding(one.value)[left] + rounding(two.value)[right]
        if _equal(one.value[left], two.value[right], tolerance).mean() >= MATCHING:
            steps = "one step" if abs(offset) == 1 else f"{abs(offset):,} steps"
            counted = ": one counts from 0, the other from 1" if abs(offset) == 1 else ""
            return f"they agree when one is moved by {steps}{counted}"
    return None


def _by_factor(a: FloatArray, b: FloatArray, factors: dict[str, float]) -> str | None:
    """One is the other times a constant, or its exponential."""
    good = np.isfinite(a) & np.isfinite(b) & (a != 0) & (b != 0)
    if good.sum() < FEWEST:
        return None
    a, b = a[good], b[good]
    for loss, perplexity in ((a, b), (b, a)):
        if np.median(np.abs(np.exp(loss) / perplexity - 1)) < FACTOR_SPREAD:
            return "one is the exponential of the other: a perplexity and a loss"
    ratio = b / a
    factor = float(np.median(ratio))
    if np.mean(np.abs(ratio / factor - 1) <= FACTOR_SPREAD) < MATCHING or factor <= 0:
        return None
    larger = max(factor, 1 / factor)
    if larger - 1 <= 2 * FACTOR_SPREAD:
        return None
    known = {"percent": 100.0, "bits against nats": BITS, **factors}
    for name, value in known.items():
        if abs(larger / value - 1) <= FACTOR_SPREAD:
            unit = "one is in percent, the other a fraction" if name == "percent" else name
            return f"they differ by the factor {larger:.4g}: {unit}"
    return f"they differ by the constant factor {larger:.4g}: another unit or reduction"


def _by_epoch(one: Series, two: Series) -> str | None:
    """The steps of one are the epochs of the other."""
    known = np.isfinite(two.epoch)
    if known.sum() < FEWEST or len(one) < FEWEST or not len(two):
        return None
    if one.step[-1] > np.nanmax(two.epoch) + 1 or one.step[-1] * 2 > two.step[-1]:
        return None
    at = np.searchsorted(two.epoch[known], one.step, side="right") - 1
    good = at >= 0
    if good.sum() < FEWEST:
        return None
    theirs = two.value[known][at[good]]
    tolerance = rounding(one.value)[good] + rounding(two.value)[known][at[good]]
    if _equal(one.value[good], theirs, tolerance).mean() < MATCHING:
        return None
    return f"{_name(one)} counts epochs where the other counts steps"


def _by_average(fine: Series, other: Series) -> str | None:
    """One is an average of the other: over its interval, since a beginning, or a moving one."""
    _, at, there = np.intersect1d(fine.step, other.step, assume_unique=True, return_indices=True)
    if len(at) < FEWEST:
        return None
    target = other.value[there]
    plain = np.median(np.abs(fine.value[at] - target))
    if plain <= 0:
        return None
    best = min(
        (float(np.median(np.abs(guess - target)[1:])) / float(plain), told)
        for told, guess in _averages(fine, at)
    )
    return f"{_name(other)} holds {best[1]}" if best[0] <= EXPLAINED else None


def _name(series: Series) -> str:
    return series.where(0).source


def _averages(fine: Series, at: IntArray) -> Iterator[tuple[str, FloatArray]]:
    total = np.r_[0.0, np.cumsum(fine.value)]
    before = np.r_[0, at[:-1] + 1]
    yield "the mean over the logging interval", (total[at + 1] - total[before]) / (at + 1 - before)
    yield "the running mean since the first step", total[at + 1] / (at + 1)
    if np.isfinite(fine.epoch).all():
        start = np.searchsorted(np.floor(fine.epoch), np.floor(fine.epoch[at]), side="left")
        yield (
            "the running mean since the epoch began",
            (total[at + 1] - total[start]) / (at + 1 - start),
        )
    for beta in BETAS:
        yield f"the exponential average (weight {beta:g})", ema(fine.value, beta)[at]
    for window in WINDOWS:
        start = np.maximum(at + 1 - window, 0)
        yield (
            f"the moving mean over {window} points",
            (total[at + 1] - total[start]) / (at + 1 - start),
        )


def _by_scatter(a: FloatArray, b: FloatArray) -> str | None:
    """They scatter around each other: same expectation, other samples."""
    good = np.isfinite(a) & np.isfinite(b)
    difference = (a - b)[good]
    if len(difference) < 5 * FEWEST or not difference.std():
        return None
    bias = abs(float(difference.mean())) / (float(difference.std()) / np.sqrt(len(difference)))
    noise = max(float(np.median(np.abs(np.diff(side[good])))) for side in (a, b))
    if bias > BIASED or np.median(np.abs(difference)) > NOISE_FACTOR * noise:
        return None
    return (
        "they scatter around each other without bias: one averages over more ranks or batches, or "
        "over others"
    )
