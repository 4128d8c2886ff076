"""A loss that starts too high, seen from the evaluation: is only the training loss too large?

A loss that is summed in training alone lies k times above the evaluation loss of the same step,
however far the model has come by then. A fault of the model lifts both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loganalyze.causes.cause import MODERATE, STRONG, WEAK, Case
from loganalyze.finding import Clue
from loganalyze.signals.robust import FloatArray

TOWERING = 50.0  # times log(C); heads of a hundred times the usual weights measured 38 at most
AT_GUESS = 0.05  # relative distance to log(C); label noise and smoothing move it by 1 to 2 %
NEAREST = 3  # train losses about the evaluation whose median is compared; one may be an outlier
MOST = 50  # evaluations; more add nothing
STEADY = 0.04  # share of the loss; sums over 16 samples scatter by 1 to 3 %
STANDS = "The first losses are all but equal: every batch costs the same, as an even guess does."
OF_INPUTS = 17.0  # norm of one guess; heads of 15 to 100 times the usual weights measured 4 to 19
SURELY = 30.0  # norm of one guess; a head of forty times the usual weights measured 29
RISEN = 1.1  # times; even guesses of 16 samples scatter by 1 to 3 %
RISES = (
    "The first losses go up and down: some batches are answered surely and wrong, others less so."
)
SEVERAL = 4  # evaluations; by then a training may have memorised its data
STARTED = 20  # steps before which a gradient norm is that of the untouched model
ORDINARY_NORM = 3.0  # first gradient norm of a model that guesses evenly; measured 0.4 to 3
LARGE_NORM = 10.0  # first gradient norm; ordinary ones lie between 0.1 and 10
AGREE = 1.5  # times: train and evaluation loss differ by less for dropout, noise and averaging
FELL = 0.5  # of the first train loss: below it something was learned
CARRIED = 0.5  # share of the initial factor that must still stand between train and evaluation
MATCH = 0.12  # relative distance to a number of micro-batches or samples; noise of first losses


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The first evaluation loss and the train loss beside it."""

    step: int
    loss: float
    train: float
    lowest: float

    @property
    def least(self) -> float:
        """How many times it is the lowest train loss about it: where the loss falls fast, others lag."""
        return self.lowest / self.loss

    @property
    def factor(self) -> float:
        """How many times the evaluation loss the train loss is."""
        return self.train / self.loss


def first_evaluation(case: Case) -> Evaluation | None:
    """Return the first positive evaluation loss with the train loss of that step, if any."""
    return next(iter(evaluations(case)), None)


def evaluations(case: Case) -> list[Evaluation]:
    """Return the positive evaluation losses, each with the train loss about its step."""
    evaluation = case.run.series("eval/loss").finite()
    train = case.run.series("train/loss").finite()
    found = []
    for step, loss in zip(evaluation.step[:MOST], evaluation.value[:MOST], strict=True):
        # Those on both sides: before it alone a loss that falls fast is still high.
        beside = train.value[np.argsort(np.abs(train.step - step), kind="stable")[:NEAREST]]
        if loss > 0 and len(beside):
            found.append(
                Evaluation(int(step), float(loss), float(np.median(beside)), float(beside.min()))
            )
    return found


def followed(evals: FloatArray, loss: FloatArray) -> bool:
    """Tell whether the evaluation loss fell to the level of the train loss."""
    if len(evals) < 2 or len(loss) < 2 * NEAREST:
        return False
    first, end = float(np.median(loss[:NEAREST])), float(np.median(loss[-NEAREST:]))
    return bool(0 < evals[-1] < min(FELL * first, 2 * AGREE * end))


def first_norm(case: Case) -> float | None:
    """Return the gradient norm of the first steps, or None where the log begins later."""
    norm = case.run.series("train/grad_norm").finite()
    if not len(norm) or int(norm.step[0]) > STARTED:
        return None
    return float(np.median(norm.value[:NEAREST]))


def norm_of_one(case: Case) -> float | None:
    """Return the very first gradient norm over the first loss in guesses: that of one guess, in a sum of k.

    It is ordinary in a sum, some times that under a large head, and larger still where inputs are, since the
    gradient of a layer is proportional to what enters it.
    """
    norm, loss = (case.run.series(f"train/{name}").finite() for name in ("grad_norm", "loss"))
    log_c = case.number("initial-loss-high", "log_c")
    if (
        not log_c
        or not len(norm)
        or not len(loss)
        or int(norm.step[0]) > STARTED
        or loss.value[0] <= 0
    ):
        return None
    return float(norm.value[0]) * log_c / float(loss.value[0])


def has_gradient_of_inputs(case: Case) -> bool:
    """Tell whether the first gradient is larger than a head makes it, by far or for long.

    A large head is soon unlearned; what enters the first layer stays as large as it is.
    """
    of_one = norm_of_one(case) or 0.0
    norm = case.run.series("train/grad_norm").finite().value
    if of_one <= OF_INPUTS:
        return False
    return of_one > SURELY or float(np.median(norm[len(norm) // 2 :])) > LARGE_NORM


def is_training_alone(case: Case) -> bool | None:
    """Tell whether only the training loss is too large; None where the log cannot say.

    The first evaluation that tells decides: later ones also show how far the training has memorised.
    """
    ratio = case.number("initial-loss-high", "ratio_to_log_c")
    if ratio is None:
        return None
    for beside in evaluations(case)[:SEVERAL]:
        if beside.least > max(AGREE, CARRIED * ratio):
            return True
        if beside.factor < AGREE:
            return False
    return None


def is_steady_at_first(case: Case) -> bool:
    """Tell whether the first losses are all but equal, as even guesses cost every batch the same."""
    first = case.run.series("train/loss").finite().value[:NEAREST]
    return len(first) == NEAREST and bool(np.ptp(first) < STEADY * first[0])


def ends_at_guess(case: Case) -> bool:
    """Tell whether the loss ends at the level of a guess, whatever it began with."""
    evals, log_c = (
        case.run.series("eval/loss").finite().value,
        case.number("initial-loss-high", "log_c"),
    )
    if log_c and len(evals) and float(evals[-1]) < (1 - AT_GUESS) * log_c:
        return False
    ratios = (
        case.number(name, "ratio_to_log_c") for name in ("loss-at-chance", "slow-convergence")
    )
    return any(ratio is not None and abs(ratio - 1) < AT_GUESS for ratio in ratios)


def passes_guess(case: Case) -> bool:
    """Tell whether a loss that began above a guess soon lies far below it, without staying there."""
    log_c = case.number("initial-loss-high", "log_c")
    loss = case.run.series("train/loss").finite().value
    if not log_c or len(loss) < 2 * SEVERAL:
        return False
    reached = int(np.argmax(loss < RISEN * log_c))
    beyond = loss[reached : reached + SEVERAL]
    soon = reached <= 2 * SEVERAL and loss[reached] < RISEN * log_c
    return bool(soon and (beyond < FELL * log_c).any())


def rises_at_first(case: Case) -> bool:
    """Tell whether one of the first losses lies well above the one before: learning only lowers them.

    An even guess costs every batch the same, once or summed k times; sure and wrong answers do not.
    """
    first = case.run.series("train/loss").finite().value[:SEVERAL]
    return len(first) == SEVERAL and bool((first[1:] > RISEN * first[:-1]).any())


def model_clues(case: Case) -> list[Clue]:
    """Weigh a fault of the model or its inputs: it shows in the evaluation, and in no count."""
    return _evaluation_clues(case) + _accumulation_clues(case)


def _evaluation_clues(case: Case) -> list[Clue]:
    beside, alone = first_evaluation(case), is_training_alone(case)
    log_c = case.number("initial-loss-high", "log_c")
    if beside is None or alone is None or log_c is None:
        return []
    if alone:
        text = (
            f"At step {beside.step:,} the evaluation loss is {beside.loss:.3g} where the train "
            f"loss is {beside.train:.3g}: the model itself gives ordinary losses."
        )
        return [Clue(text, -STRONG)]
    high = beside.loss > AGREE * log_c
    text = (
        f"At step {beside.step:,} the evaluation loss is {beside.loss:.3g} and the train loss "
        f"{beside.train:.3g}: it is not only training that counts otherwise."
    )
    return [Clue(text, MODERATE if high else WEAK)]


def _accumulation_clues(case: Case) -> list[Clue]:
    ratio = case.number("initial-loss-high", "ratio_to_log_c")
    accumulation = case.run.number("gradient_accumulation_steps")
    if not ratio or not accumulation or accumulation <= 1:
        return []
    if abs(ratio / accumulation - 1) >= MATCH:
        return []
    text = f"The factor {ratio:.1f} is just the number of accumulation steps, {accumulation:.0f}."
    return [Clue(text, -STRONG)]
