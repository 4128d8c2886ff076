"""The model has more room than the data fill: it memorises them.

What it is
----------
With many passes over few samples the train loss falls on while the evaluation turns.

What speaks for it
------------------
The evaluation loss turns up while the train loss falls. Several epochs were run. The train loss
is near 0.

What speaks against it
----------------------
The train loss does not fall, so that there is no gap. The turn comes inside the first epoch: then the
evaluation data are another distribution.

How to confirm
--------------
Train again with half of the data: the turn comes earlier. The train loss on the evaluation's
preprocessing tells a shift apart.

Fix
---
Stop at the best evaluation, train fewer epochs, regularise, augment, or get more data.

References
----------
Prechelt, "Early Stopping, But When?" (1998).
"""

from __future__ import annotations

from loganalyze.causes.carried import FEW_SAMPLES, LEARNED, came_often, carried, training_samples
from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, WEAK, Case, Hypothesis
from loganalyze.causes.eval_mismatch import (
    APART,
    NOTHING,
    SOME,
    is_worse_than_untrained,
)
from loganalyze.causes.untrained import answers_better, best_evaluation
from loganalyze.finding import Clue
from loganalyze.signals.first_pass import first_pass

NARROW = 0.1  # (eval - train) / train; less is no gap
STILL = 0.9  # share of the train loss at the best evaluation: more has not fallen
BETTER = 0.97  # times an untrained model
FREQUENCIES = 0.85  # times an untrained model: uneven labels alone lead down to it
WIDE = 1.0  # (eval - train) / train; dropout and averaging explain less


def weigh(case: Case) -> list[Clue]:
    """Weigh how the two losses part, and how often the data were seen."""
    clues = []
    rise, gap = case.number("overfit-gap", "rise"), case.number("overfit-gap", "gap_ratio")
    if rise is not None:
        clues.append(Clue(f"The evaluation got {rise:.0%} worse than at its best.", MODERATE))
    if gap is not None and gap > WIDE:
        clues.append(Clue(f"At the end it is {gap + 1:,.1f} x the train loss.", MODERATE))
    before, end = (case.number("overfit-gap", name) for name in ("train_at_best", "train_at_end"))
    if gap is not None and gap < NARROW and before and end and end > STILL * before:
        text = f"The train loss went from {before:.3g} to {end:.3g}: little was learned by heart."
        clues.append(Clue(text, -STRONG))
    series = case.run.series("eval/loss").finite()
    best = case.number("overfit-gap", "best_step")
    if len(series) and best is not None:
        at = series.epoch[series.step == best]
        if len(at) and at[0] == at[0]:
            if at[0] >= 1:
                clues.append(Clue(f"The turn came after {at[0]:.1f} passes over the data.", WEAK))
            else:
                clues.append(
                    Clue(f"The turn came inside the first epoch ({at[0]:.2f}).", -MODERATE)
                )
    samples = training_samples(case, carried(case))
    if samples and samples < FEW_SAMPLES:
        clues.append(Clue(f"The training set holds only {samples:,.0f} samples.", STRONG))
    return [*clues, *_against(case)]


def _against(case: Case) -> list[Clue]:
    """What is learned by heart was learned of samples that came again, and once helped."""
    clues = []
    if case.found("loss-divergence"):
        text = "The train loss rose as well: what is learned by heart only falls."
        clues.append(Clue(text, -DECISIVE))
    if case.found("slow-convergence", "loss-at-chance"):
        text = "The training has learned little itself: nothing is known by heart."
        clues.append(Clue(text, -STRONG))
    found = carried(case)
    by_heart = came_often(case, found)
    best_of_all = best_evaluation(case)
    if best_of_all is not None and best_of_all > FREQUENCIES and not by_heart:
        text = (
            f"The evaluation never got better than {best_of_all:.2f} x an untrained model: what is learned "
            "does not reach it."
        )
        clues.append(Clue(text, -STRONG - MODERATE if best_of_all > BETTER else -STRONG))
    better = answers_better(case)
    if better:
        clues.append(
            Clue(f"{better}: what is learned by heart is answered better itself.", -STRONG)
        )
    seen = first_pass(case.run)
    if seen is not None and seen.apart is not None and seen.apart > APART and seen.fell > NOTHING:
        text = (
            f"The evaluation loss was {seen.apart:.1f} x the train loss before any sample was seen twice: "
            "nothing can have been remembered by then."
        )
        clues.append(Clue(text, -DECISIVE))
    elif found is not None and not found.is_shown and (found.known or 0.0) > LEARNED:
        text = (
            f"In the first pass, when each sample was new, the train loss fell by {found.known:.0%} of an "
            "untrained model's; no evaluation shows that."
        )
        clues.append(Clue(text, -DECISIVE if (found.passes or 0.0) < SOME else -STRONG))
    elif is_worse_than_untrained(case) and not by_heart:
        text = "The evaluation never got better than the training was at its start."
        clues.append(Clue(text, -STRONG))
    if case.found("eval-at-chance") and not by_heart:
        clues.append(
            Clue("The evaluation is at chance: overfitting does not go that far.", -STRONG)
        )
    return clues


def fix(case: Case) -> list[str]:
    """Name the checkpoint to keep."""
    best = case.number("overfit-gap", "best_step")
    keep = f"Keep the checkpoint of step {best:,.0f}. " if best is not None else ""
    return [f"{keep}load_best_model_at_end false -> true, early_stopping_patience -> 3"]


HYPOTHESIS = Hypothesis(
    id="overfit-small-data",
    title="The training set is learned by heart",
    prior=0.8,
    explains=("overfit-gap", "eval-at-chance"),
    weigh=weigh,
    fix=fix,
    probe="overfit",
)
