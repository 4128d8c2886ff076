"""How a run that gets nowhere behaved on its way: was it too slow, did it die, was there nothing to learn?

Three courses end at the same level. Steps that are too short move the loss evenly in one direction, as on a
slope. Weights that die (units that an overshoot switched off, weights that decay pulled to zero) have a
gradient at first and lose it. A model that is moved by ordinary steps and finds nothing learns in a few
steps how frequent the labels are, and nothing after that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loganalyze.causes.cause import Case
from loganalyze.causes.rates import common_rates, is_adam, told_rate
from loganalyze.causes.reach import reach
from loganalyze.signals.batch_order import ENOUGH, SELDOM, hits_and_guesses, slides_and_leaps
from loganalyze.signals.loss_kind import LossKind, chance, loss_kind
from loganalyze.signals.movement import Movement, movement
from loganalyze.signals.robust import noise_sigma

SLOW = ("loss-at-chance", "slow-convergence", "loss-plateau")
ORDINARY = 0.5  # of the highest rate in common use: a rate at which runs learn
LEAPT = 1.5  # times the first loss: single batches scatter less about a guess
FEWEST = 4  # losses that agree
LITTLE = 0.15  # share of the evaluation loss: more than that is learning
MOVED = 1e-5  # share of the evaluation loss: less is not moving at all
QUARTERS = 4  # parts of the run
MOST = (
    0.75  # of the fall; short steps at a rate that decays make 0.45 of theirs in the first quarter
)
HARDLY = 1e-3  # share of the evaluation loss; wrong labels leave 0.5 % and more
FAR = 0.1  # sum of the rates of Adam: as much as a weight of a layer of width 100 is large
FIRST = 3  # losses whose median is the level at the start
POINTS = 20  # log points; fewer show no course
EIGHTH = 8  # parts of the run: the first one is its start
SAME = 1.5  # times: a gradient norm that changes by less is that of a model that has not changed
ABOVE = 1.02  # times log(C); label frequencies and smoothing stay within it
SILENT = 1e-3  # share of the loss: batches of any size scatter by more if outputs depend on inputs
DIED = 3.0  # times its level at the end that the gradient norm had at first
AT_ONCE = 0.7  # of the whole fall that came in the first eighth
NOISE = 4.0  # standard deviations of a batch's loss, of which the first loss is one
FELL = 0.01  # share of the first loss: the frequencies of tokens give at least that


@dataclass(frozen=True, slots=True)
class Norms:
    """The gradient norm at its start (largest and median of the first eighth), later (median), and its "
    "largest."""

    largest: float
    early: float
    usual: float
    late: float

    @property
    def died(self) -> bool:
        """Whether there was a gradient that was lost."""
        return self.early > DIED * self.late

    @property
    def stayed(self) -> bool:
        """Whether the gradient is the same all along, as that of a model that has not changed."""
        return 1 / SAME < self.usual / self.late < SAME and self.largest < DIED * self.late


def norms(case: Case) -> Norms | None:
    """Return the gradient norm early and late, or None where it was not logged often enough."""
    value = case.run.series("train/grad_norm").finite().value
    if len(value) < POINTS:
        return None
    start, late = value[: len(value) // EIGHTH], float(np.median(value[len(value) // 2 :]))
    return (
        Norms(float(value.max()), float(start.max()), float(np.median(start)), late)
        if late > 0
        else None
    )


def short_steps(case: Case) -> Movement | None:
    """Return the course of the evaluation if it creeps one way although Adam has an ordinary rate.

    Adam moves each weight by about the rate in every step, however small its gradient. A model whose weights
    all move so either learns or wanders; one that creeps along a straight line is moved by less.
    """
    course = movement(case.run)
    peak = peak_rate(case)
    if course is None or peak is None or not is_adam(case.run) or not case.found(*SLOW):
        return None
    if settled_early(case) or peak < ORDINARY * common_rates(case.run)[0]:
        return None
    if not MOVED < course.span < LITTLE:
        return None
    norm = norms(case)
    loss = case.run.series("train/loss").finite().value
    first = float(np.median(loss[:FIRST])) if len(loss) else course.first
    if (norm is not None and not norm.stayed) or first - course.last > LITTLE * abs(first):
        return None
    return (
        course if course.is_straight and course.last < course.first and not _at_once(case) else None
    )


def creeps_on(case: Case) -> Movement | None:
    """Return the course of the evaluation if it falls one way to the end, by more than rounding, or None.

    Steps that are too short do that, whatever makes them short.
    """
    course = movement(case.run)
    if course is None or not case.found(*SLOW) or settled_early(case):
        return None
    falls = course.is_straight and course.last < course.first
    return course if falls and course.span > HARDLY else None


def settled_early(case: Case) -> bool:
    """Tell whether the evaluation fell in the first quarter of the run and stands: that was all to find."""
    evals = case.run.series("eval/loss").finite().value
    fall = float(evals[0] - evals[-1]) if len(evals) >= QUARTERS * 2 else 0.0
    return fall > 0 and float(evals[0] - evals[len(evals) // QUARTERS]) > MOST * fall


def hardly_moves(case: Case) -> Movement | None:
    """Return the course of the evaluation if it does next to nothing although Adam moved every weight far.

    Weights that follow anything, be it noise, change the evaluation by more; so few of them move, or by far
    less than the rate.
    """
    course, far = movement(case.run), reach(case)
    if (
        course is None
        or far is None
        or far.travel is None
        or far.travel < FAR
        or not case.found(*SLOW)
    ):
        return None
    return course if MOVED < course.span < HARDLY else None


def is_sorted(case: Case) -> bool:
    """Tell whether what came last is all that the model expects: that costs more than a guess as well."""
    hits, expected = hits_and_guesses(case.run) or (0.0, 0.0)
    swing = case.found("loss-oscillation")
    periodic = swing is not None and swing.evidence.get("period_is_epoch") == "yes"
    if kinds_in_turn(case) is not None:
        return True
    return periodic or (expected >= ENOUGH and hits <= SELDOM * expected)


def kinds_in_turn(case: Case) -> int | None:
    """Return how often the loss leaps as one kind of sample gives way to another, or None.

    Steps that overshoot make it leap as well, and their gradients with it.
    """
    if case.found("grad-explosion", "loss-nonfinite", "grad-nonfinite"):
        return None
    return slides_and_leaps(case.run)


def is_silent(case: Case) -> bool:
    """Tell whether every batch has the same loss: all outputs are equal, whatever the input."""
    loss = case.run.series("train/loss").finite().value
    late = loss[len(loss) // 2 :]
    return len(late) >= POINTS and noise_sigma(late) < SILENT * abs(float(np.median(late)))


def went_silent(case: Case) -> float | None:
    """Return the highest loss of a run that leapt above its start and then has one loss for every batch."""
    loss = case.run.series("train/loss").finite().value
    late = loss[-max(len(loss) // 2, FEWEST) :]
    if len(loss) < 2 * FEWEST or not case.found(*SLOW):
        return None
    if float(np.ptp(late)) > SILENT * abs(float(np.median(late))):
        return None
    top = float(loss.max())
    return top if top > LEAPT * float(loss[0]) else None


def is_constant(case: Case) -> bool:
    """Tell whether the model gives every sample the same even guess.

    Loss and evaluation lie at log(C), closer than untrained weights of a head leave them, and the loss moves:
    it is no model that stands still.
    """
    log_c = case.number("loss-at-chance", "log_c")
    evals, loss = (case.run.series(f"{part}/loss").finite().value for part in ("eval", "train"))
    late = loss[len(loss) // 2 :]
    if not log_c or len(evals) < FEWEST or len(late) < FEWEST or case.found("loss-repeats"):
        return False
    off = np.abs(np.r_[late, evals[-FEWEST:]] / log_c - 1)
    return bool(off.max() < SILENT and np.ptp(late) > 0)


@dataclass(frozen=True, slots=True)
class Above:
    """How long the loss of a run that began at a guess is worse than one, and how far it then lies above."""

    share: float
    times: float


def share_above_guess(case: Case) -> float | None:
    """Return the share of the run that is worse than a guess though it began at one."""
    above = above_guess(case)
    return above.share if above is not None else None


def above_guess(case: Case) -> Above | None:
    """Return how long the run is worse than a guess though it began at one, and by how much (median)."""
    guess = chance(case.run)
    loss = case.run.series("train/loss").finite().value
    if guess is None or len(loss) < POINTS or not case.found(*SLOW):
        return None
    part = max(len(loss) // POINTS, 1)
    began = min(float(np.median(loss[:part])), float(loss[0]))
    if began > ABOVE * guess.log_c:
        return None  # it began there
    smooth = np.array([np.median(block) for block in np.array_split(loss, POINTS)])
    level = max(guess.log_c, began)
    beyond = smooth > ABOVE * level
    times = float(np.median(smooth[beyond])) / level if beyond.any() else 1.0
    return Above(float(np.mean(beyond)), times)


def frequencies_only(case: Case) -> float | None:
    """Return the share of the first loss that fell at once, where next to nothing fell after that."""
    fall = _at_once(case)
    return fall if case.found(*SLOW) else None


def _at_once(case: Case) -> float | None:
    loss = case.run.series("train/loss").finite().value
    if len(loss) < POINTS or loss[0] <= 0:
        return None
    part = len(loss) // EIGHTH
    first, early, late = (
        float(loss[0]),
        float(np.median(loss[part : 2 * part])),
        float(np.median(loss[-part:])),
    )
    guess = chance(case.run)
    if guess is not None and loss_kind(case.run) is LossKind.CROSS_ENTROPY:
        first = min(first, guess.log_c)  # above it a head unlearns what it was sure of, and no more
    fell = (first - early) / first
    if first - early < NOISE * noise_sigma(loss):
        return None
    return fell if fell > FELL and first - early > AT_ONCE * (first - late) else None


def peak_rate(case: Case) -> float | None:
    """Return the highest learning rate logged, or the one that was set."""
    rate = case.run.series("train/learning_rate").finite()
    return float(rate.value.max()) if len(rate) else told_rate(case.run)
