"""Evaluation does something else than training: other labels, other preprocessing, another mode.

What it is
----------
The folders of the evaluation set sort into other class numbers, images are scaled differently, the model is
evaluated in training mode or with statistics that were never updated.

What speaks for it
------------------
The training learns while the evaluation stays exactly at chance: overfitting never goes to chance. Or the
evaluation is far off in level from the first time on, and only gets worse: worse than a model that has
learned nothing.

What speaks against it
----------------------
The evaluation follows the training for a while and then turns: overfitting.

How to confirm
--------------
Evaluate on the training set with the evaluation's loader: it should be as good as training.

Fix
---
One class-to-index table and one preprocessing for both; model.eval().

References
----------
pytorch/examples#377, #550; timm#1081: 94 % in training, 0.1 % in evaluation.
"""

from __future__ import annotations

import numpy as np

from loganalyze.causes.carried import FEW_SAMPLES, came_often, carried
from loganalyze.causes.carried import LEARNED as CLEARLY
from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, WEAK, Case, Hypothesis
from loganalyze.causes.course import kinds_in_turn
from loganalyze.causes.initial import followed
from loganalyze.causes.reads import is_named_sequence
from loganalyze.causes.untrained import best_evaluation
from loganalyze.finding import Clue
from loganalyze.signals.accuracy import guessed_accuracy, share
from loganalyze.signals.first_pass import first_pass
from loganalyze.signals.loss_kind import chance, is_language_model
from loganalyze.signals.robust import FloatArray

OTHERWISE = ("loss-nonfinite", "eval-below-train", "initial-loss-high")
SEVERAL = 3  # train losses before the first evaluation
FEWEST = 4  # evaluations
BETTER = 0.97  # times log(C): an evaluation below it beats a guess
FAR_WORSE = 1.5  # times an untrained model: what is learned by heart costs that only of few samples
WORLDS_APART = 3.0  # times an untrained model
POINTS = 20  # log points; fewer show no course
EIGHTH = 8  # parts of the run: the first one is its start
EASY = 0.3  # share of the first loss
MOST_OF_IT = 0.85  # of the whole fall
FLAT = 0.08  # range of the evaluation's accuracy; 400 samples scatter by 2 to 3 % about theirs
KNOWN = 0.5  # accuracy of the training at the first evaluation: most of it was learned by then
OF_TRAIN = 0.35  # of it: a model that merely overfits has more in its first passes
CLIMBS = 0.15  # accuracy; less is the scatter of a small evaluation set
APART = 1.4  # times the train loss; label noise and small evaluation sets explain 1.1 to 1.2
AGREES = 1.15
NOTHING = 0.06  # share of the first loss: as much as the frequencies of labels give
HALF = 0.5  # of the way, on a log scale, that the evaluation lies apart if it shows nothing
FEW_PASSES = 2.5  # over the data; what is known after so few is hardly learned by heart
SOME = 6.0  # passes
MOST_CLASSES = 20  # of more, a guess has too few right answers to miss
MISSED = 0.6  # of the right answers of a guess; 400 samples of 20 classes have 20 +- 4.4
LEARNED = 0.5  # of the first train loss: below it something was learned


def weigh(case: Case) -> list[Clue]:
    """Weigh training against evaluation."""
    if case.found("eval-nonfinite"):
        text = "Evaluations are no number: their accuracy says nothing."
        return [Clue(text, -DECISIVE)]
    if case.found("loss-zero"):
        text = "The train loss is 0: nothing is learned that an evaluation could show."
        return [Clue(text, -DECISIVE)]
    if kinds_in_turn(case) is not None and case.found("loss-oscillation", "slow-convergence"):
        text = "The loss falls and leaps as kinds of samples come and go: that is learned, in vain."
        return [Clue(text, -STRONG)]
    clues = [*(_first_pass(case) or _never_shown(case)), *_below_a_guess(case)]
    if not case.found("eval-at-chance", "eval-below-train"):
        return clues or [_accuracy_apart(case) or _never_learned(case)]
    if case.found("eval-at-chance"):
        clues.append(Clue("The evaluation stays at chance while the training learns.", STRONG))
    guessed = guessed_accuracy(case.run)
    if guessed is not None:
        text = f"The train accuracy, {guessed:.2g}, is that of a guess as well."
        clues.append(Clue(text, -DECISIVE))
    if case.found("eval-below-train") and case.found("initial-loss-high"):
        text = (
            "The train loss starts above any guess: it is the training that is counted otherwise."
        )
        clues.append(Clue(text, -MODERATE))
    loss = case.run.series("train/loss").finite()
    evals = case.run.series("eval/loss").finite().value
    if learned_padding(case):
        text = "The train loss fell at once and stands: what was learned is padding, not what is asked for."
        clues.append(Clue(text, -DECISIVE))
    elif is_named_sequence(case) and learned_at_once(case):
        text = "The train loss fell at once and stands, as where the rows are mostly padding."
        clues.append(Clue(text, -STRONG))
    elif not case.found("eval-at-chance"):
        pass  # an evaluation better than the training says nothing by what is learned
    elif len(loss) and loss.value[0] > 0 and loss.value[-1] < LEARNED * loss.value[0]:
        text = f"The train loss fell from {loss.value[0]:.3g} to {loss.value[-1]:.3g}."
        clues.append(Clue(text, MODERATE))
    if case.found("eval-at-chance") and followed(evals, loss.value):
        text = "The evaluation loss falls with that of the training: it is evaluated alike."
        clues.append(Clue(text, -DECISIVE))
    if case.found("slow-convergence"):
        text = "The training has learned little itself: there is not much to fail in evaluation."
        clues.append(Clue(text, -STRONG))
    if case.found("epoch-sawtooth") and not any(clue.weight >= DECISIVE for clue in clues):
        clues.append(
            Clue("The train loss steps down with every pass: it is learned by heart.", -STRONG)
        )
    return clues


def learned_padding(case: Case) -> bool:
    """Tell whether a language model learned something easy within the first steps, and nothing after it.

    One token that fills every row is learned so, and is no part of the evaluation.
    """
    loss = case.run.series("train/loss").finite().value
    if not is_language_model(case.run) or len(loss) < POINTS:
        return False
    return learned_at_once(case)


def learned_at_once(case: Case) -> bool:
    """Tell whether nearly all that the train loss fell by came in the first steps."""
    loss = case.run.series("train/loss").finite().value
    if len(loss) < POINTS:
        return False
    part = len(loss) // EIGHTH
    first, early, late = (
        loss[0],
        float(np.median(loss[part : 2 * part])),
        float(np.median(loss[-part:])),
    )
    return bool(first - early > EASY * first and first - early > MOST_OF_IT * (first - late))


def _first_pass(case: Case) -> list[Clue]:
    """Before a sample comes again the train loss is an evaluation itself, and the other must agree."""
    seen = first_pass(case.run)
    if seen is None or case.found(*OTHERWISE):
        return []
    if seen.apart is not None and seen.apart > APART and seen.fell > NOTHING:
        text = (
            f"Before any sample was seen twice the evaluation loss was {seen.apart:.1f} x the train loss: "
            "it is not memory that parts them."
        )
        return [Clue(text, DECISIVE)]
    if seen.is_remembered or (seen.fell < NOTHING and seen.is_gradual):
        text = "In the first pass over the data next to nothing was learned, later only what had been seen."
        return [Clue(text, -STRONG)]
    shares = (
        seen.apart is not None and seen.fell > CLEARLY and seen.apart < (1 - seen.fell) ** -HALF
    )
    if shares and seen.apart is not None and seen.apart < AGREES:
        text = f"In the first pass the evaluation agreed with the training ({seen.apart:.2f} x its loss)."
        return [Clue(text, -DECISIVE)]
    return []


def _never_shown(case: Case) -> list[Clue]:
    """What was learned of samples never seen before is true of others: an evaluation of the task shows it."""
    found = carried(case)
    if found is None:
        return []
    if found.passes is not None and came_often(case, found):
        text = (
            f"The samples were seen {found.passes:.0f} times before the first evaluation that tells: by then "
            "all can be known by heart."
        )
        return [Clue(text, -STRONG)]
    if found.is_shown:
        return []
    if found.known is not None and found.known > CLEARLY:
        text = (
            f"In the first pass, when each sample was new, the train loss fell by {found.known:.0%} of an "
            "untrained model's; no evaluation shows that."
        )
        return [Clue(text, DECISIVE if (found.passes or 0.0) < SOME else STRONG)]
    if found.passes is None:
        return []
    weight = MODERATE if found.passes < FEW_PASSES else WEAK
    text = (
        f"After {found.passes:.1f} passes over the data the training had clearly learned, and no evaluation "
        "shows any of it."
    )
    return [Clue(text, weight)]


def _below_a_guess(case: Case) -> list[Clue]:
    """Answers that are right less often than those of a guess were learned under other names."""
    guess = chance(case.run)
    accuracy = share(case.run.series("eval/accuracy").finite().value)
    late = accuracy[len(accuracy) // 2 :]
    if guess is None or guess.classes > MOST_CLASSES or len(late) < SEVERAL:
        return []
    if float(late.max()) > MISSED / guess.classes:
        return []
    text = (
        f"The evaluation is answered right in {float(np.median(late)):.1%}, a guess in "
        f"{1 / guess.classes:.1%}: what was learned goes by other names there."
    )
    return [Clue(text, DECISIVE)]


def _accuracy_apart(case: Case) -> Clue | None:
    """What does not belong to the training is answered by chance, from the first evaluation on."""
    train, evals = (case.run.series(f"{part}/accuracy").finite() for part in ("train", "eval"))
    if len(train) < FEWEST or len(evals) < FEWEST:
        return None
    if (case.run.number("train_samples") or FEW_SAMPLES) < FEW_SAMPLES:
        return None  # so few may be known by heart before the first evaluation
    seen, held = train.value_at(int(evals.step[0])), share(evals.value)
    early = float(share(np.r_[train.value, seen or 0.0])[-1])
    if early < KNOWN or float(np.quantile(held, 0.9)) > OF_TRAIN * early or _rose(held) > CLIMBS:
        return None
    text = (
        f"At the first evaluation {early:.0%} of the training were answered right, and {held[0]:.0%} of the "
        f"evaluation, which never became more than {held.max():.0%}: it took no part in what is learned."
    )
    return Clue(text, DECISIVE + MODERATE)


def _never_learned(case: Case) -> Clue:
    """Overfitting follows the training for a while; what does not belong to it is worse from the start."""
    best_of_all = best_evaluation(case)
    few = (case.run.number("train_samples") or FEW_SAMPLES) < FEW_SAMPLES
    if best_of_all is not None and best_of_all > (WORLDS_APART if few else FAR_WORSE):
        text = (
            f"The best evaluation costs {best_of_all:.1f} x what an untrained model does: it is of another "
            "kind or scale."
        )
        return Clue(text, DECISIVE if best_of_all > WORLDS_APART else STRONG)
    best = case.number("overfit-gap", "best_step")
    evals = case.run.series("eval/loss").finite()
    accuracy = share(case.run.series("eval/accuracy").finite().value)
    if best is None or not len(evals) or int(evals.step[0]) < best:
        return Clue("The evaluation followed the training for a while.", -DECISIVE)
    if is_worse_than_untrained(case) and not (len(accuracy) >= FEWEST and _rose(accuracy) >= FLAT):
        text = (
            f"No evaluation, {evals.value.min():.4g} at best, is as good as the training was before it "
            "learned anything."
        )
        return Clue(text, STRONG)
    guess = chance(case.run)
    if guess is not None and float(evals.value.min()) > BETTER * guess.log_c:
        text = (
            f"The evaluation loss never got below {evals.value.min():.4g}, where a guess costs "
            f"{guess.log_c:.4g}."
        )
        return Clue(text, MODERATE)
    if len(accuracy) >= FEWEST and _rose(accuracy) >= FLAT:
        return Clue("The evaluation's accuracy rose with what was learned.", -DECISIVE)
    if len(accuracy) >= FEWEST:
        text = (
            f"The evaluation loss only rises, and its accuracy stays within {np.ptp(accuracy):.0%}: the "
            "evaluation never took part in what is learned."
        )
        return Clue(text, MODERATE)
    return Clue("The evaluation loss rises from the first time on: it never followed.", -MODERATE)


def _rose(accuracy: FloatArray) -> float:
    return float(accuracy.max() - accuracy[0])


def is_worse_than_untrained(case: Case) -> bool:
    """Tell whether no evaluation is as good as the training was before it learned anything."""
    if (case.run.number("train_samples") or FEW_SAMPLES) < FEW_SAMPLES:
        return False  # so few may be known by heart before the first evaluation
    train, evaluation = (case.run.series(f"{part}/loss").finite() for part in ("train", "eval"))
    loss, evals = train.value, evaluation.value
    if len(evals) and int((train.step <= evaluation.step[0]).sum()) < SEVERAL:
        return False  # means of epochs, or an excerpt: the start is not in them
    if not len(loss) or not len(evals) or loss[0] <= 0:
        return False
    return float(evals.min()) > BETTER * float(loss[:3].max())


def fix(case: Case) -> list[str]:
    """Name the test that tells."""
    return [
        "Run the evaluation on training samples; compare label tables and preprocessing of both sets"
    ]


HYPOTHESIS = Hypothesis(
    id="eval-mismatch",
    title="Evaluation and training do not match",
    prior=0.2,
    explains=("eval-at-chance", "eval-below-train", "overfit-gap"),
    weigh=weigh,
    fix=fix,
    probe="data",
)
