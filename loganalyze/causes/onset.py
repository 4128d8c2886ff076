"""Where the numbers of a run break: the first NaN, shown or hidden, and what came before it.

A NaN may stand in the loss, in the gradient norm alone, or be hidden: some trainers print 0.0 for
a loss that is NaN, and only the gradient norm beside it tells. All are weighed alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loganalyze.causes.cause import Case
from loganalyze.finding import Finding
from loganalyze.run import Series
from loganalyze.signals.counted import counted_sources
from loganalyze.signals.robust import mad_sigma

SEEN = 0.05  # of the first losses: what is lower than that after a rise has not blown up
RISE_OF_FEW = 1.7  # where too few points show the scatter; two batches of 8 differ by 1.6 at times
RISE = 1.5  # times the level before: a rise of the loss ahead of a NaN
BEYOND = 3.0  # standard deviations of the log loss before: less is the noise of this run
LEVEL = 20  # log points whose median is the level before
STEADY = 1.5  # times its level: a gradient norm below it did not grow with the loss
CLOSE = 10  # steps in which a loss that blows up can be seen to rise
STARTED = 100  # steps before which a log begins with the training, whatever its interval
BEFORE = 5  # log points in which a blow-up shows
LATEST = 2  # log points of which a blow-up reaches its height
UNTOUCHED = (
    "The loss or the gradient of the very first step is no number: nothing had been updated."
)
LEAST_SCATTER = 0.02  # of the log loss; few points may agree by chance


@dataclass(frozen=True, slots=True)
class Onset:
    """The first value that is no number.

    Attributes
    ----------
    is_first
        Whether no finite loss was logged before it.
    rise, scatter
        Times that the loss rose over the points before, and the factor by which it scattered before
        that anyway; None where they are too few.
    norm_rise
        Times that the gradient norm rose over these points, or None.
    rate, rate_share
        Learning rate there, and its share of the highest one logged.
    interval
        Steps from the last finite loss to it: a blow-up inside them is not seen.
    of_epochs
        Whether a step is an epoch: its loss is a mean over many updates.
    is_of_first_gradient
        Whether the gradient of the very first step is no number, as nothing but that step can make it.
    """

    step: int
    is_first: bool
    is_hidden: bool
    rise: float | None
    scatter: float | None
    norm_rise: float | None
    rate: float | None
    rate_share: float | None
    interval: int
    of_epochs: bool
    is_of_first_gradient: bool

    @property
    def is_close(self) -> bool:
        """Whether the log is fine enough to show a blow-up, which takes a few steps."""
        return self.interval <= CLOSE

    @property
    def is_untouched(self) -> bool:
        """Whether it came before any update: in the loss or the gradient of the first step."""
        at_once = self.is_first and self.step <= 1 and not self.of_epochs
        return at_once or self.is_of_first_gradient

    @property
    def rose(self) -> bool:
        """Whether the loss clearly rose before, by more than it scattered anyway."""
        return self.rise is not None and self.rise >= max(RISE, self.scatter or RISE_OF_FEW)

    @property
    def was_sudden(self) -> bool:
        """Whether the loss is known not to have risen before."""
        return self.rise is not None and not self.rose

    @property
    def rose_alone(self) -> bool:
        """Whether the gradient did not grow with the loss: the weights do not run away."""
        return self.rose and self.norm_rise is not None and self.norm_rise < STEADY


def onset(case: Case) -> Onset | None:
    """Return the first NaN or infinity of the run, or None where there is none."""
    finding = case.found("loss-nonfinite")
    if finding is not None:
        return _shown(case, finding)
    hidden = case.found("loss-zero")
    if hidden is not None and hidden.evidence.get("grad_norm") == "NaN":
        return _read(case, hidden, is_hidden=True)
    finding = case.found("grad-nonfinite")
    return _read(case, finding, is_hidden=False) if finding is not None else None


def _shown(case: Case, finding: Finding) -> Onset:
    """Take what the detector measured, and read the rest from the curves."""
    read = _read(case, finding, is_hidden=False)
    index = case.number(finding.id, "index_of_first")
    rise = case.number(finding.id, "rise_before")
    rate = case.number(finding.id, "lr_at_first")
    share = case.number(finding.id, "lr_share_of_peak")
    return Onset(
        step=read.step,
        is_first=read.is_first if index is None else index == 0 and read.is_first,
        is_hidden=False,
        rise=rise if read.rise is None else read.rise,
        scatter=read.scatter,
        norm_rise=read.norm_rise,
        rate=read.rate if rate is None else rate,
        rate_share=read.rate_share if share is None else share,
        interval=read.interval,
        of_epochs=read.of_epochs,
        is_of_first_gradient=read.is_of_first_gradient,
    )


def _read(case: Case, finding: Finding, *, is_hidden: bool) -> Onset:
    step = int(case.number(finding.id, "first_step") or (finding.steps or (0, 0))[0])
    loss = case.run.series("train/loss").finite()
    before = loss.value[(loss.step < step) & (loss.value > 0)]
    rate = case.run.series("train/learning_rate").finite()
    at = rate.value_at(step)
    return Onset(
        step=step,
        is_first=not len(before) and _begins_at_the_start(case),
        is_hidden=is_hidden,
        rise=_rise(before),
        scatter=_scatter(before),
        norm_rise=_norm_rise(case, step),
        rate=at,
        rate_share=at / float(rate.value.max())
        if at is not None and rate.value.max() > 0
        else None,
        interval=_interval(loss, step),
        of_epochs=_counts_epochs(case),
        is_of_first_gradient=_never_had_a_gradient(case, step),
    )


def _never_had_a_gradient(case: Case, step: int) -> bool:
    """Tell whether the norm is no number from the first step on; lines that were counted do not tell."""
    norm = case.run.series("train/grad_norm")
    if not len(norm) or int(norm.step[0]) > 1 or counted_sources(case.run):
        return False
    return not np.isfinite(norm.value[norm.step <= step]).any() and not _counts_epochs(case)


def _counts_epochs(case: Case) -> bool:
    loss = case.run.series("train/loss")
    return len(loss) > 1 and float(np.ptp(loss.epoch - loss.step)) == 0.0


def _interval(loss: Series, step: int) -> int:
    """Return the steps between the last finite loss before `step` and `step`."""
    earlier = loss.step[loss.step < step]
    return step - int(earlier[-1]) if len(earlier) else 1


def _begins_at_the_start(case: Case) -> bool:
    """Tell whether the log begins with the training: an excerpt from its middle has no first loss."""
    steps = case.run.series("train/loss").step
    if len(steps) < 2:
        return not len(steps) or int(steps[0]) <= STARTED
    return int(steps[0]) <= max(STARTED, 2 * int(np.diff(steps).max()))


def _rise(before: np.ndarray) -> float | None:
    if len(before) > BEFORE and before[-BEFORE:].max() < SEEN * np.median(before[:BEFORE]):
        return 1.0  # near zero a loss scatters by any factor; one that blows up passes its start
    if len(before) > BEFORE:
        level = float(np.median(before[:-BEFORE][-LEVEL:]))
        # What blows up is highest at the end; one that was high and came back is a batch.
        return float(before[-LATEST:].max()) / level
    return float(before[-1] / before.min()) if len(before) >= 2 else None


def _scatter(before: np.ndarray) -> float | None:
    """Return the factor within which a loss stays by its noise: near zero that is a large one."""
    if len(before) < 2 * BEFORE:
        return None
    sigma = mad_sigma(np.log(before[:-BEFORE][-LEVEL:]))
    return float(np.exp(BEYOND * max(sigma, LEAST_SCATTER)))


def _norm_rise(case: Case, step: int) -> float | None:
    norm = case.run.series("train/grad_norm").finite()
    before = norm.value[(norm.step < step) & (norm.value > 0)]
    return _rise(before) if len(before) > BEFORE else None
