"""The smoothed loss rises for good: its end lies far above its best and does not come back.

What it does
------------
The loss is smoothed with a running median. It diverges if the end lies `ratio` times above the
best, beyond `noise` robust standard deviations, has lost more than `lost` of all progress made
(or lies above the start), and the rise is still there at the end.

It diverges as well if no later loss comes back within `never_back` times the very first one (or if nearly
all of the run lies so far above it, and the end does not come back within that), if a loss exceeds `absurd`,
if the last losses before a NaN are `leap` times all before them, and, said with little confidence, if a log
of two or three losses ends in one that is `leap` times the others. A loss that runs away and is brought back,
as by a rate that decays, diverged too: its running median lay above `never_back` times the start for `away`
of the run, by `noise_away` standard errors of the start; for `away_guess` of it where that is twice the
log(C) of a guess as well. Of a policy no loss tells: it diverges where its KL divergence from the reference
runs away, or grows on while half of the reward that was gained is lost; and where the error of its values
grows tenfold, block by block, while no more is earned than at first. A train loss too noisy to tell diverges
where each evaluation is twice the first one and the train loss has not fallen.

Why it matters
--------------
The run is getting worse; every further step is wasted.

Not to be confused with
-----------------------
A transient spike that recovers. Adversarial, reinforcement and unbounded losses. The rise after an intended
restart of the learning rate, until half a cycle has passed. A codebook whose codes spread (a note). Noise
that lasts over several points.

Settings
--------
`ratio`, `noise`, `lost`, `never_back`, `away`, `away_guess`, `noise_away`, `absurd`, `leap`, `points`.

Fix
---
Go back to the last checkpoint before the best, lower the learning rate, clip the gradient.

References
----------
TheDeepChecker (2022) calls a loss at twice its minimum diverging.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from loganalyze.detect import divergence_beside as beside
from loganalyze.detect.detector import Detected, Detector
from loganalyze.detect.diverged import FLOOR, absurd, diverged, left_its_reference, risen_beside
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import Run, Series
from loganalyze.settings import setting
from loganalyze.signals.loss_kind import Chance, LossKind, chance, loss_kind
from loganalyze.signals.lr import restarts
from loganalyze.signals.reference import left_reference, reward_lost
from loganalyze.signals.robust import FloatArray, mad_sigma, noise_sigma
from loganalyze.signals.saturation import saturation
from loganalyze.signals.smooth import block_medians, centered_median


@dataclass(frozen=True)
class DivergenceSettings:
    """Thresholds of the check."""

    ratio: float = setting(1.3, unit="ratio of the end to the best", source="below it, a bad phase")
    noise: float = setting(6.0, unit="robust standard deviations", source="far beyond chance")
    lost: float = setting(0.5, unit="share of the progress", source="half of what was learned")
    never_back: float = setting(
        2.0, unit="ratio to the first loss", source="a good model that the first update ruined"
    )
    away: float = setting(
        0.1, unit="share of the run", source="a spike is over sooner; nobody plans a tenth of it"
    )
    away_guess: float = setting(
        0.05, unit="share of the run", source="twice as bad as a guess is no noise of the batches"
    )
    noise_away: float = setting(3.0, unit="standard errors of the start", source="beyond chance")
    absurd: float = setting(1e12, unit="loss", source="no loss of any target in use starts there")
    leap: float = setting(
        4.0,
        unit="ratio to the loss before",
        source="as for a spike in a log too short for its noise",
    )
    points: int = setting(6, unit="log points", source="a rise over fewer may be noise")


MEDIAN_ERROR = 1.2533  # sqrt(pi / 2): standard error of a median against that of a mean
NEVER = 0.01  # quantile of the losses after the first tenth that counts as their least
GOOD = 0.1  # quantile of the smoothed loss; a tenth of the run is no chance hit
FIRST = 5  # log points that stand for the start
SHORTEST = 3  # log points of a running median
FEWEST = 4  # log points: a first one and three that never come near it
END = 3  # log points at the end of a short log
SHORT = 20  # log points; more show their noise
FEWEST_BLOCKS = 7  # fewer give no scale of their own
FAR = 10.0  # times the first loss: nothing but a ruined model stays there for half of the run
BACK = 0.75  # share of `never_back`; the end of such a run that is not back at its start
KEPT = 0.5  # of the highest rise: below it the loss is on its way back
STRETCHES = 10  # parts of what follows the best, of which the highest is the top of the rise


def detect(run: Run, settings: DivergenceSettings) -> Detected:
    """Compare the end of the smoothed loss with its best."""
    kind = loss_kind(run)
    # With a gradient norm it is an explosion of that, unless it went slowly.
    explodes = run.has("train/grad_norm") and reward_lost(run) is None
    if kind is LossKind.REINFORCEMENT and not explodes and left_reference(run):
        return (left_its_reference(run),)
    if kind is LossKind.REINFORCEMENT and (values := beside.values_diverge(run)) is not None:
        return (risen_beside(values, "while no more is earned than at first"),)
    if not run.has("train/loss"):
        return NotApplicable("no train/loss was logged")
    if kind in (LossKind.REINFORCEMENT, LossKind.ADVERSARIAL, LossKind.UNBOUNDED):
        return NotApplicable(f"a rising loss is ordinary for {kind.value}")
    logged = run.series("train/loss")
    series = logged.finite()
    if len(series) and float(series.value.max()) > settings.absurd:
        return (absurd(series),)
    if len(series) < len(logged) and (found := _before_nonfinite(logged, settings)):
        return found
    if 2 <= len(series) < FEWEST and len(series) == len(logged):
        return _leap(series, settings)
    if len(series) < FEWEST:
        return NotApplicable(f"{len(series)} losses are too few, {FEWEST} needed")
    certain = saturation(run)
    if certain is not None and not certain.from_start:
        before = int(np.searchsorted(series.step, certain.step))
        best = int(np.argmin(series.value[: max(before, 1)]))
        levels = (float(series.value[index]) for index in (best, 0, -1))
        return (diverged(series, best, *levels),)
    # The unit of a squared error is free: it may begin anywhere. Near 0 others have nothing to lose.
    floor = 0.0 if kind is LossKind.REGRESSION else FLOOR
    if _destroyed_at_once(series, floor, settings):
        first = float(series.value[0])
        return (diverged(series, 0, first, first, float(np.median(series.value[1:]))),)
    if len(series) < settings.points:
        return NotApplicable(f"{len(series)} losses are too few, {settings.points} needed")
    width = max(SHORTEST, len(series) // 20)
    smooth = centered_median(series.value, width)
    found = _for_good(run, series, smooth, width, settings)
    found = found or _ran_away(run, series, smooth, floor, settings) or _climbs(series, settings)
    if beside.spreads_codes(run):
        return tuple(replace(one, severity=Severity.INFO) for one in found)
    if found or (evals := beside.evaluations_diverge(run, series)) is None:
        return found
    return (risen_beside(evals, "while the train loss has not fallen"),)


def _for_good(
    run: Run, series: Series, smooth: FloatArray, width: int, settings: DivergenceSettings
) -> tuple[Finding, ...]:
    """Judge the end of the smoothed loss by its best."""
    best = int(np.argmin(smooth))
    start, low = float(np.median(series.value[:width])), float(smooth[best])
    end = float(np.median(series.value[-width:]))
    rise, progress = end - low, start - low
    if low <= 0 or end < settings.ratio * low:
        return ()
    # The best of many medians lies low by chance: the rise from what is usually good counts, and
    # it must exceed the noise of such a median.
    usual = float(np.quantile(smooth, GOOD))
    noise = _median_noise(np.log(np.maximum(series.value, low * 1e-6)), width)
    if end <= usual or np.log(end / usual) < settings.noise * noise:
        return ()
    if _too_soon_after_restart(run, series, best):
        return ()
    # The first log line may come late; a guess costs log(C) all the same.
    guess = chance(run) if loss_kind(run) is LossKind.CROSS_ENTROPY else None
    least = FLOOR * max(start, guess.log_c if guess is not None else 0.0)
    # A short log has few points at its end: the last one must be up as well.
    if width == SHORTEST and float(series.value[-1]) < settings.ratio * low:
        return ()
    if rise <= settings.lost * progress or rise < least or best >= len(series) - 2:
        return ()
    if not _stays_up(series.value[best:], low, end - start):
        return ()
    return (diverged(series, best, low, start, end),)


def _ran_away(
    run: Run, series: Series, smooth: FloatArray, floor: float, settings: DivergenceSettings
) -> tuple[Finding, ...]:
    """Judge the smoothed loss by its start: for long it was far above it, whatever came then."""
    if len(restarts(run)) > 1:
        return ()
    guess = chance(run) if loss_kind(run) is LossKind.CROSS_ENTROPY else None
    start = _start_far_below(series.value, smooth, guess, floor, settings)
    if start is None:
        return ()
    first, share = start
    highest = int(np.argmax(smooth))
    peak, end = float(smooth[highest]), float(np.median(series.value[-FIRST:]))
    best = int(np.argmin(smooth[: highest + 1]))
    found = diverged(series, best, float(smooth[best]), first, end)
    summary = (
        f"For {share:.0%} of the run the train loss lay above {settings.never_back:g} x the {first:.4g} it "
        f"started at, around {peak:.4g} near step {series.step[highest]:,}; at the end it is {end:.4g}."
    )
    is_back = end <= BACK * settings.never_back * first
    return (
        replace(
            found,
            severity=Severity.WARNING if is_back else Severity.CRITICAL,
            title=f"The loss ran away to {peak / first:.1f} x its start",
            summary=summary,
            evidence={**found.evidence, "ratio": peak / first, "highest": peak, "share": share},
        ),
    )


def _start_far_below(
    value: FloatArray,
    smooth: FloatArray,
    guess: Chance | None,
    floor: float,
    settings: DivergenceSettings,
) -> tuple[float, float] | None:
    """Return the start and the share of the run far above it, or None where there is no such share.

    The first update alone may ruin the model: the first cross-entropy, which is near log(C), stands for the
    start. Of other losses, of which one may be low by chance, the highest of the first few does.
    """
    width = max(FIRST, len(value) // 20)
    is_known = guess is not None
    first = float(value[0] if is_known else value[:FIRST].max())
    above = smooth > settings.never_back * first
    # The first points hold the first fall, which does not begin at twice the cost of a guess.
    beyond = above & (smooth > settings.never_back * (guess.log_c if guess is not None else np.inf))
    above[:width] &= beyond[:width]
    is_long = above.mean() >= settings.away or beyond.mean() >= settings.away_guess
    if first <= floor or not is_long:
        return None
    noise = noise_sigma(np.log(np.maximum(value, FLOOR * first)))
    noise *= 1.0 if is_known else MEDIAN_ERROR / np.sqrt(FIRST)
    if np.log(np.median(smooth[above]) / first) < settings.noise_away * noise:
        return None
    return first, float(above.mean())


def _before_nonfinite(logged: Series, settings: DivergenceSettings) -> tuple[Finding, ...]:
    """Judge the last losses before the first that is no number: there is no time for more of them."""
    first = int(np.argmin(np.isfinite(logged.value)))
    value = logged.value[:first]
    if len(value) < 2:
        return ()
    end = float(value[-1])
    # The rise may take several points: all that lead to the end without a fall belong to it.
    falls = np.flatnonzero(np.diff(value) < 0)
    foot = int(falls[-1]) + 1 if len(falls) else 0
    before = value[: foot + 1]
    if end < settings.leap * max(float(before.max()), FLOOR):
        return ()
    best = int(np.argmin(before))
    until = logged.take(slice(0, first))
    return (diverged(until, best, float(before[best]), float(value[0]), end),)


def _stays_up(tail: FloatArray, low: float, above_start: float) -> bool:
    """Tell whether the loss, from its best on, is still up at the end.

    Its last quarter lies above the first one; or it has kept the greater part of the rise, as where it
    leapt to another level and stays there; or no less is lost than all that was learned.
    """
    quarter = max(1, len(tail) // 4)
    late = float(np.median(tail[-quarter:]))
    if late > np.median(tail[: quarter + 1]) or above_start > 0:
        return True
    highest = float(block_medians(tail, STRETCHES).max())
    return late - low > KEPT * (highest - low)


def _climbs(series: Series, settings: DivergenceSettings) -> tuple[Finding, ...]:
    """Judge the end of a short log: it climbs, far above what came before, and most of the gain is lost."""
    value = series.value
    if not 2 * END <= len(value) <= SHORT:
        return ()
    best, usual = int(np.argmin(value)), float(np.median(value[:-END]))
    first, low = float(value[0]), float(value[best])
    end, last = value[-END:], float(value[-1])
    if low <= FLOOR * first or best >= len(value) - END or float(end.min()) <= usual:
        return ()
    if (np.diff(end) <= 0).any() or float(end.min()) < settings.leap * low:
        return ()
    if last - low < settings.lost * (first - low):
        return ()
    return (replace(diverged(series, best, low, first, last), severity=Severity.WARNING),)


def _leap(series: Series, settings: DivergenceSettings) -> tuple[Finding, ...]:
    """Judge two or three losses: the last one far above the others, with nothing after it."""
    before = float(series.value[:-1].max())
    if before < FLOOR or float(series.value[-1]) < settings.leap * before:
        return ()
    index = len(series) - 2
    found = diverged(series, index, before, float(series.value[0]), float(series.value[-1]))
    return (replace(found, severity=Severity.WARNING, confidence=0.4),)


def _destroyed_at_once(series: Series, floor: float, settings: DivergenceSettings) -> bool:
    """Tell whether no later loss ever came near the first one: the first updates ruined the model.

    Or hardly ever: the rate decays to 0 and takes the loss down with it, not to where it began.
    """
    value, n = series.value, len(series)
    first = float(np.median(value[: max(1, n // 50)]))
    rest = value[max(1, n // 10) :]
    limit = settings.never_back * first
    if first <= floor:
        return False
    never = float(np.quantile(rest, NEVER)) > limit
    far = float(np.quantile(rest, GOOD)) > limit and float(np.median(rest)) > FAR * first
    return never or (far and float(np.median(value[-max(n // 10, 1) :])) > limit * BACK)


def _median_noise(curve: np.ndarray, width: int) -> float:
    """Return the standard error of the median of `width` points of a curve.

    Taken twice: from neighbouring points, and from medians of blocks, which noise that lasts over
    several points moves as well. Second differences are blind to a steady fall or rise.
    """
    # The fall and the rise of a short log are steps themselves; second differences see neither.
    single = min(noise_sigma(curve), mad_sigma(np.diff(curve, 2)) / np.sqrt(6.0))
    single *= MEDIAN_ERROR / np.sqrt(width)
    blocks = block_medians(curve, len(curve) // width)
    if len(blocks) < FEWEST_BLOCKS:
        return float(single)
    return float(max(single, mad_sigma(np.diff(blocks, 2)) / np.sqrt(6.0)))


def _too_soon_after_restart(run: Run, series: Series, best: int) -> bool:
    """Tell whether a restart of the rate since the best has not had half a cycle to come back."""
    at = restarts(run)
    last = int(series.step[-1])
    inside = at[(at > series.step[best]) & (at <= last)]
    if not len(inside):
        return False
    before = at[at < inside[-1]]
    cycle = int(inside[-1]) - int(before[-1] if len(before) else series.step[0])
    return last - int(inside[-1]) < cycle / 2


DETECTOR = Detector(
    id="loss-divergence",
    group="divergence",
    passed="The loss does not diverge",
    failed="The loss rises for good",
    requires=(),
    settings=DivergenceSettings,
    detect=detect,
)
