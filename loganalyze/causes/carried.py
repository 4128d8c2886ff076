"""How much of what the training learned the evaluation shows.

Until a sample comes a second time the train loss falls by knowledge alone: nothing can be remembered yet. An
evaluation of the same task must show that knowledge. Where none ever does, it asks for something else. Once
the samples have come again often, memory explains the same picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loganalyze.causes.cause import Case
from loganalyze.causes.course import is_sorted
from loganalyze.causes.untrained import FIRST, STARTED, untrained_level
from loganalyze.run import Series
from loganalyze.signals.batch_order import epochs
from loganalyze.signals.robust import noise_sigma

LEARNED = 0.1  # share of an untrained model's loss; the frequencies of labels give up to 0.06
SIGMAS = 4.0  # standard errors by which the train loss has fallen for certain
BESIDE = 5  # train losses about an evaluation whose median is compared
FEWEST = 4  # train losses of the first pass; fewer have no level

SHOWS = 0.3  # of what was learned: an evaluation of the same task shows more than that
FEW_SAMPLES = 500  # any network has more parameters than that
OFTEN = 10.0  # passes after which a small training set is known by heart
A_HANDFUL = 100  # samples; what holds for others can hardly be learned of so few
TWICE = 2.0  # passes: none of the samples is new any more
MEDIAN_ERROR = 1.2533  # sqrt(pi / 2): standard error of a median against that of a mean
OTHERWISE = (
    "loss-nonfinite", "loss-divergence", "initial-loss-high", "eval-nonfinite", "loss-jump-on-resume",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Carried:
    """What was learned and what the evaluation shows of it, in shares of an untrained model's loss.

    Attributes
    ----------
    known
        What the train loss fell by in the first pass over the data, or None where that is not seen.
    passes
        Passes over the data at the first evaluation by which something was learned; None if unknown.
    step
        The step of that evaluation.
    best
        What the best evaluation lies below an untrained model; negative where none does.
    """

    known: float | None
    passes: float | None
    step: int
    best: float

    @property
    def is_shown(self) -> bool:
        """Whether an evaluation shows a part of it."""
        return self.best >= SHOWS * max(self.known or 0.0, LEARNED)


def carried(case: Case) -> Carried | None:
    """Return what the evaluation shows of the training; None where nothing was learned or it is unknown."""
    train, evals = (case.run.series(f"{part}/loss").finite() for part in ("train", "eval"))
    level = level_at_start(case, train)
    if level is None or len(evals) < 2 or case.found(*OTHERWISE) or is_sorted(case):
        return None
    count = min(BESIDE, len(train))
    error = SIGMAS * MEDIAN_ERROR * noise_sigma(train.value) / np.sqrt(count) / level
    for step in evals.step.tolist():
        near = np.argsort(np.abs(train.step - step), kind="stable")[:count]
        if 1 - float(np.median(train.value[near])) / level > max(LEARNED, error):
            break
    else:
        return None
    place = epochs(case.run, train)
    passes = None if place is None else float(np.interp(step, train.step, place))
    known = _in_first_pass(train, place, level)
    if known is not None and known < error:
        known = 0.0
    return Carried(known, passes, step, 1 - float(evals.value.min()) / level)


def came_often(case: Case, found: Carried | None) -> bool:
    """Tell whether few samples came so often before the first evaluation that all were known by heart."""
    samples = training_samples(case, found)
    if found is None or found.passes is None:
        return samples is not None and samples < FEW_SAMPLES
    often = TWICE if samples is not None and samples < A_HANDFUL else OFTEN
    is_few = samples is not None and samples < FEW_SAMPLES
    return is_few and found.passes > often and (found.known or 0.0) < LEARNED


def training_samples(case: Case, found: Carried | None) -> float | None:
    """Return the size of the training set: as told, or by the steps of a pass; None if unknown."""
    told, batch = case.run.number("train_samples"), case.run.number("train_batch_size")
    if told or not batch or found is None or not found.passes:
        return told
    updates = case.run.number("gradient_accumulation_steps") or 1.0
    return batch * updates * found.step / found.passes


def level_at_start(case: Case, train: Series) -> float | None:
    """Return the loss of an untrained model: of a guess, or else where the train loss begins."""
    level = untrained_level(case)
    if level is not None or len(train) < 2 * FIRST:
        return level
    if int(train.step[FIRST - 1]) > STARTED * int(train.step[-1]) + FIRST:
        return None
    first = float(np.median(train.value[:FIRST]))
    return first if first > 0 and float(train.value.min()) >= 0 else None


def _in_first_pass(train: Series, place: np.ndarray | None, level: float) -> float | None:
    if place is None:
        return None
    inside = train.value[place <= 1.0]
    if len(inside) < FEWEST or len(inside) == len(train):
        return None
    return 1 - float(np.median(inside[-min(BESIDE, len(inside) // 2) :])) / level


def learned_apart(case: Case) -> bool:
    """Tell whether the training knew its batches before the loss leapt, and no evaluation showed any of it.

    So it is where batches of one kind follow each other: what they have in common is known at once.
    """
    train, evals = (case.run.series(f"{part}/loss").finite() for part in ("train", "eval"))
    told = (case.number("loss-spike", "step"), case.number("loss-divergence", "best_step"))
    leap = min((step for step in told if step is not None), default=None)
    level = level_at_start(case, train)
    if leap is None or level is None or case.found("loss-nonfinite", "initial-loss-high"):
        return False
    known, shown = train.value[train.step < leap], evals.value[evals.step < leap]
    if len(known) < FEWEST or len(shown) < 2:
        return False
    untold = float(shown.min()) > (1 - LEARNED) * level
    return untold and float(np.median(known[-BESIDE:])) < SHOWS * level
