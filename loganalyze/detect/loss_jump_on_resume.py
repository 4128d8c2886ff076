"""The loss breaks where the run was restarted.

What it does
------------
At each restart the median of the last `window` losses before it is compared with that of the first `window`
after it, in units of the noise on both sides. The finding holds if the loss is higher by `noise` sigmas and
by `rise` of its level, and the learning rate did not jump up by plan.

Why it matters
--------------
Optimizer state, head, scheduler or the place in the data were not restored: the run goes on from somewhere
else.

Not to be confused with
-----------------------
A logging window that spans the restart. A restart that begins from the start again: its loss is that of
the first start.

Settings
--------
`window`, `noise`, `noise_soon`, `rise_soon`, `rise`.

Fix
---
Compare the norm of the optimizer's moments before saving and after loading; load strictly.

References
----------
LLaMA-Factory#512 (0.95 to 1.1 after a restart); Automodel#763.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import Run, Series
from loganalyze.series import LOSS, every_start
from loganalyze.settings import setting
from loganalyze.signals.restart import begins_anew, told_restarts
from loganalyze.signals.robust import noise_sigma
from loganalyze.signals.trend import change


@dataclass(frozen=True)
class ResumeSettings:
    """Thresholds of the check."""

    window: int = setting(
        10, unit="log points", source="enough for a level, near enough to be local"
    )
    noise: float = setting(
        4.0, unit="robust standard errors", source="beyond chance, at a place known beforehand"
    )
    noise_soon: float = setting(
        5.0, unit="robust standard errors", source="the same for the first three losses alone"
    )
    rise_soon: float = setting(
        0.15, unit="share of the loss", source="three times as much, for a third of the points"
    )
    rise: float = setting(0.05, unit="share of the loss", source="less is another mix of batches")


MOST = 20  # restarts of one run
BACK, LEARNED = 0.95, 0.6  # of the first loss: where it started, and clearly below
NOISE_POINTS = 40  # log points before the restart that tell its noise
FEWEST = 3  # log points on either side
MEDIAN_ERROR = 1.2533  # sqrt(pi / 2): standard error of a median against that of a mean


def detect(run: Run, settings: ResumeSettings) -> Detected:
    """Compare the loss on both sides of each restart."""
    sources = run.preferred.get(LOSS, ())
    series = (
        every_start(run.columns, LOSS, sources).finite() if sources else run.series(LOSS).finite()
    )
    borders = np.flatnonzero(np.diff(series.segment) > 0) + 1
    if not len(borders):
        series, borders = _told(run, series)
    if not len(borders):
        return NotApplicable("the log shows no restart")
    if len(borders) > MOST:
        return NotApplicable(f"{len(borders)} restarts: several runs seem to share this log")
    found = [
        f for border in borders.tolist() if (f := _compare(series, border, settings)) is not None
    ]
    return tuple(found[:1])


def _told(run: Run, series: Series) -> tuple[Series, np.ndarray]:
    """Split at the restarts that the log only tells of: no step stands in it twice."""
    borders = np.unique(np.searchsorted(series.step, told_restarts(run), side="right"))
    borders = borders[(borders > 0) & (borders < len(series))]
    segment = np.searchsorted(borders, np.arange(len(series)), side="right")
    return dataclasses.replace(series, segment=segment), borders


def _compare(series: Series, border: int, settings: ResumeSettings) -> Finding | None:
    segment, at = series.segment, int(series.step[border])
    earlier = (segment < segment[border]) & (series.step < at)
    before = series.value[earlier][-settings.window :]
    after = series.value[border:][segment[border:] == segment[border]][: settings.window]
    if len(before) < FEWEST or len(after) < FEWEST or begins_anew(series, border):
        return None
    middle = max(FEWEST, len(after) // 2)
    low, high = float(np.median(before)), float(np.median(after[:middle]))
    # A loss that rose before the restart goes on to rise: from middle to middle of the two windows.
    climb = max(_slope(before), 0.0) * (len(before) + min(middle, len(after))) / 2
    # The noise of ten points is known to a quarter: more of them before the restart know better.
    longer = series.value[earlier][-NOISE_POINTS:]
    after_noise = noise_sigma(after) if len(after) >= settings.window else 0.0
    sigma = max(noise_sigma(longer), after_noise, 1e-3 * abs(low))
    error = sigma * 1.25 * np.sqrt(1 / len(before) + 2 / len(after))
    first = float(series.value[0])
    if float(after[0]) >= BACK * first and float(before[-1]) < LEARNED * first:
        high = float(after[0])  # all that was learned is lost; a fall before it is no noise
        low, error = float(before[-1]), error or 1.0
    elif high - low - climb < max(settings.noise * error, settings.rise * abs(low)):
        # What is learned again soon shows in the first points alone, of which chance has more to say.
        high = float(np.median(after[:FEWEST]))
        error = sigma * MEDIAN_ERROR * np.sqrt(1 / len(before) + 1 / FEWEST)
        if high - low - climb < max(settings.noise_soon * error, settings.rise_soon * abs(low)):
            return None
    return Finding(
        id="loss-jump-on-resume",
        severity=Severity.WARNING,
        confidence=0.85 if len(before) >= 5 and len(after) >= 5 else 0.6,
        title=f"The loss jumps at the restart of step {at:,}",
        summary=(
            f"Before the restart at step {at:,} the train loss was {low:.4g}, after it {high:.4g} "
            f"({high / low - 1:+.0%}), {(high - low) / error:.0f} standard errors apart."
        ),
        steps=(
            int(series.step[earlier][-1]),
            int(series.step[min(border + len(after), len(series)) - 1]),
        ),
        metrics=("train/loss",),
        evidence={"step": at, "level_before": low, "level_after": high, "rise": high / low - 1},
        where=(series.where(border - 1), series.where(border)),
        fix=("Save and load optimizer, scheduler, scaler and sampler state with the weights",),
    )


def _slope(value: np.ndarray) -> float:
    """Return the change per log point."""
    return change(value)[0] / (len(value) - 1) if len(value) > FEWEST else 0.0


DETECTOR = Detector(
    id="loss-jump-on-resume",
    group="resume",
    passed="The loss goes on smoothly over restarts",
    failed="The loss jumps at a restart",
    requires=("train/loss",),
    settings=ResumeSettings,
    detect=detect,
)
