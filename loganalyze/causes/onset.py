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

FEWEST = 4  # losses of which halves can be compared
FALLEN = 0.9  # of the first half of the losses; less is progress
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
OF_FEW = 3.0  # times the scatter that three to five points show
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
    loss
        The loss of that very step where it is finite and not 0: what is hidden is printed as 0.
    interval
        Steps from the last finite loss to it: a blow-up inside them is not seen. None where the steps are
        counted lines, of which nobody knows how many steps lie between.
    passes
        Times that the data had been gone through before, as far as the log tells.
    got_nowhere
        Whether the loss had not fallen in its first pass over the data: training that works lowers it, steps
        that are too long swing about before they blow up.
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
    loss: float | None
    interval: int | None
    passes: int
    got_nowhere: bool
    of_epochs: bool
    is_of_first_gradient: bool

    @property
    def is_close(self) -> bool:
        """Whether the log is fine enough to show a blow-up, which takes a few steps."""
        return self.interval is not None and self.interval <= CLOSE

    @property
    def is_untouched(self) -> bool:
        """Whether it came before any update: in the loss or the gradient of the first step."""
        at_once = self.is_first and self.step <= 1 and not self.of_epochs
        return at_once or self.is_of_first_gradient

    @property
    def spared_the_loss(self) -> bool:
        """Whether the loss of the step whose gradient was the first to break is a number."""
        return self.is_of_first_gradient and self.loss is not None

    @property
    def had_updates(self) -> bool:
        """Whether many updates came before the first logged loss: steps that are too long need few."""
        return self.is_first and (self.of_epochs or self.step > CLOSE)

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
    finding = case.found("grad-nonfinite")
    if hidden is not None and hidden.evidence.get("grad_norm") == "NaN":
        steps = [case.number(name, "first_step") for name in ("grad-nonfinite", "loss-zero")]
        first, zero = steps
        if finding is not None and first is not None and zero is not None and first < zero:
            hidden = finding
        return _read(case, hidden, is_hidden=True)
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
        loss=read.loss,
        interval=read.interval,
        passes=read.passes,
        got_nowhere=read.got_nowhere,
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
        is_first=not len(before) and _at(loss, step) is None and _begins_at_the_start(case),
        is_hidden=is_hidden,
        rise=_rise(before),
        scatter=_scatter(before),
        norm_rise=_norm_rise(case, step),
        rate=at,
        rate_share=at / float(rate.value.max())
        if at is not None and rate.value.max() > 0
        else None,
        loss=_at(loss, step),
        interval=None if counted_sources(case.run) else _interval(loss, step),
        passes=_passes(loss, step),
        got_nowhere=not _passes(loss, step) and _stood(loss.value[loss.step < step]),
        of_epochs=_counts_epochs(case),
        is_of_first_gradient=_never_had_a_gradient(case, step) or _had_no_rate(case, step),
    )


def _never_had_a_gradient(case: Case, step: int) -> bool:
    """Tell whether the norm is no number from the first step on; lines that were counted do not tell."""
    norm = case.run.series("train/grad_norm")
    if not len(norm) or int(norm.step[0]) > 1 or counted_sources(case.run):
        return False
    return not np.isfinite(norm.value[norm.step <= step]).any() and not _counts_epochs(case)


def _had_no_rate(case: Case, step: int) -> bool:
    """Tell whether the gradient broke before any update, as a rate of 0 in the first line says."""
    norm, rate = (case.run.series(f"train/{name}") for name in ("grad_norm", "learning_rate"))
    if not len(norm) or not len(rate) or np.isfinite(norm.value[norm.step <= step]).any():
        return False
    return len(rate) > 1 and rate.value[0] == 0 and bool((rate.value > 0).any())


def _at(loss: Series, step: int) -> float | None:
    same = loss.value[loss.step == step]
    return float(same[0]) if len(same) and same[0] != 0 else None


def _counts_epochs(case: Case) -> bool:
    loss = case.run.series("train/loss")
    return len(loss) > 1 and float(np.ptp(loss.epoch - loss.step)) == 0.0


def _interval(loss: Series, step: int) -> int:
    """Return the steps between the last finite loss before `step` and `step`."""
    earlier = loss.step[loss.step < step]
    return step - int(earlier[-1]) if len(earlier) else 1


def _passes(loss: Series, step: int) -> int:
    """Return how many epochs were over before the last finite loss; loops count them from 0 or from 1."""
    epoch = loss.epoch[loss.step <= step]  # a guard that stops a run stops it behind a finite one
    known = epoch[np.isfinite(epoch)]
    return max(int(known[-1]) - 1, 0) if len(known) else 0


def _stood(before: np.ndarray) -> bool:
    part = len(before) // 2
    if len(before) < FEWEST:
        return False
    return float(np.median(before[-part:])) >= FALLEN * float(np.median(before[:part]))


def _begins_at_the_start(case: Case) -> bool:
    """Tell whether the log begins with the training: an excerpt from its middle has no first loss."""
    steps = case.run.series("train/loss").step
    if len(steps) < 2:  # without any loss, only a guard told: nobody knows when
        return len(steps) > 0 and int(steps[0]) <= STARTED
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
    if len(before) <= BEFORE:
        return None
    if len(before) < 2 * BEFORE:
        sigma = mad_sigma(np.log(before[: len(before) // 2]))
        return float(np.exp(BEYOND * OF_FEW * max(sigma, LEAST_SCATTER)))
    sigma = mad_sigma(np.log(before[:-BEFORE][-LEVEL:]))
    return float(np.exp(BEYOND * max(sigma, LEAST_SCATTER)))


def _norm_rise(case: Case, step: int) -> float | None:
    norm = case.run.series("train/grad_norm").finite()
    before = norm.value[(norm.step < step) & (norm.value > 0)]
    return _rise(before) if len(before) > BEFORE else None
