"""The samples are recognised when they come again: each pass over the data lowers the loss by a step.

What it is
----------
A large model needs one pass to remember a sample. The loss is flat inside an epoch, where all samples are
new or equally old, and falls at its border.

What speaks for it
------------------
Steps down at whole epochs, deeper from epoch to epoch. The evaluation turns after the first passes.

What speaks against it
----------------------
The logged value is a mean since the epoch began: then the steps are the mean's. The rate steps there too.

How to confirm
--------------
Compare the losses of samples seen before with those of samples of the same kind never seen.

Fix
---
Fewer epochs, more data, smaller rate, dropout.

References
----------
transformers#18730.
"""

from __future__ import annotations

from loganalyze.causes.carried import LEARNED, carried
from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, WEAK, Case, Hypothesis
from loganalyze.causes.eval_mismatch import APART, SOME
from loganalyze.finding import Clue
from loganalyze.signals.first_pass import first_pass

NOTHING = 0.06  # share of the first loss: as much as the frequencies of labels give
MANY = 3.0  # passes over the data; fine-tunings make one to three


def weigh(case: Case) -> list[Clue]:
    """Weigh the steps, the passes and the evaluation."""
    clues = []
    if case.found("epoch-sawtooth"):
        clues.append(Clue("The train loss steps down at the borders of epochs.", STRONG))
    elif case.found("overfit-gap"):
        clues.append(Clue("The train loss does not step down at the borders of epochs.", -MODERATE))
    seen = first_pass(case.run)
    if seen is not None and seen.is_remembered:
        text = (
            f"The train loss stood still in the first pass and fell by {seen.again:.0%} as the samples "
            "came again."
        )
        clues.append(Clue(text, DECISIVE))
    if seen is not None and (seen.apart or 0.0) > APART and seen.fell > NOTHING:
        text = (
            f"The evaluation loss was {seen.apart:.1f} x the train loss before any sample was seen twice: "
            "nothing can have been remembered by then."
        )
        clues.append(Clue(text, -DECISIVE))
    found = carried(case)
    if found is not None and not found.is_shown and (found.known or 0.0) > LEARNED:
        text = (
            f"The train loss fell by {found.known:.0%} of an untrained model's while each sample was new, "
            "and no evaluation shows that: it is not memory."
        )
        clues.append(Clue(text, -DECISIVE if (found.passes or 0.0) < SOME else -STRONG))
    epoch = case.run.series("train/loss").epoch
    passes = float(epoch[-1]) if len(epoch) and epoch[-1] == epoch[-1] else None
    if passes is not None and passes > MANY:
        clues.append(Clue(f"The data were seen {passes:.1f} times.", WEAK))
    if case.found("epoch-sawtooth") and case.found("overfit-gap"):
        clues.append(
            Clue("The evaluation loss turned while the train loss stepped down.", MODERATE)
        )
    return clues


def fix(case: Case) -> list[str]:
    """Cut the epochs."""
    epochs = case.run.number("num_train_epochs")
    before = f"{epochs:g}" if epochs else "many"
    return [f"num_train_epochs {before} -> 1 to 3"]


HYPOTHESIS = Hypothesis(
    id="epoch-memorization",
    title="Every pass over the data is remembered",
    prior=-0.4,
    explains=("epoch-sawtooth", "overfit-gap", "eval-at-chance"),
    weigh=weigh,
    fix=fix,
    probe="overfit",
)
