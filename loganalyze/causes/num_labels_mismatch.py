"""The head has another number of outputs than the data has classes, or the labels are encoded
otherwise.

What it is
----------
A head that was made for another label set, or labels that are shifted or not contiguous, turn
right answers into wrong ones.

What speaks for it
------------------
The number of classes stands in the settings with other values elsewhere. The loss starts above
log(C) with an ordinary gradient norm and hardly any scatter, as an even guess over more outputs does.

What speaks against it
----------------------
A small excess (more outputs than classes costs at most log(outputs / classes)). A normal
evaluation loss.

How to confirm
--------------
Compare min and max of the labels with the head's outputs, and print ten decoded labels.

Fix
---
Set num_labels to the number of classes in the training data; map the labels to 0..C-1.

References
----------
Hugging Face documentation, sequence classification: num_labels.
"""

from __future__ import annotations

import math
import re

import numpy as np

from loganalyze.causes.cause import DECISIVE, MODERATE, STATED, STRONG, WEAK, Case, Hypothesis
from loganalyze.causes.error_text import lines, stated
from loganalyze.causes.initial import (
    LARGE_NORM,
    ORDINARY_NORM,
    first_norm,
    is_steady_at_first,
    model_clues,
)
from loganalyze.causes.multiple import excess_clues
from loganalyze.finding import Clue
from loganalyze.signals.accuracy import share
from loganalyze.signals.robust import FloatArray

SOMEWHAT = 1.2  # times the ordinary norm
MOST_OUTPUTS = 100_000  # of a head; a loss that would take more is not that of an even guess
FIRST = 3  # accuracies
UNTRAINED = 0.97  # of the first loss: a head is trained fastest
ENOUGH = 6.0  # right answers of a guess; none of them, or half, comes by chance once in 20 times and less
SELDOM = 0.5  # times 1 / C: a guess over many more outputs is hardly ever right
MUCH = 5.0  # times log(C): more than a uniform guess over unused outputs ever costs


# A head whose outputs are not as many as the classes that the labels are written for.
SHAPES = re.compile(
    r"Shapes \(\w+, \d+\) and \(\w+, \d+\) are incompatible"
    r"|logits and labels must (?:be broadcastable|have the same)"
    r"|Target size \(torch\.Size\(\[(\d+), \d+\]\)\) must be the same as input size"
    r" \(torch\.Size\(\[\1, \d+\]"
)
MISMATCH = re.compile(
    r"size mismatch for (\S+): copying a param (?:with shape|of) torch\.Size\(\[(\d+)((?:, \d+)*)\]\) from"
    r" checkpoint, .{0,60}torch\.Size\(\[(\d+)((?:, \d+)*)\]\)"
)
TOKENS = re.compile(r"(?<!class_)(?<!cls_)(?<!label_)embed|wte\b|wpe\b|lm_head|position|vocab")
HEAD = re.compile(
    r"class|head|cls|\bfc\d?\b|logits|score|pred|output|shared|label|conv_seg|linear", re.I
)
CLASSES = 5_000  # outputs; more are those of a vocabulary


def weigh(case: Case) -> list[Clue]:
    """Look for contradicting numbers of classes, and for what a mismatch cannot do."""
    clues = [*stated(case, SHAPES, DECISIVE + MODERATE), *_rows(case)]
    if case.found("crash") and not clues:
        clues.append(Clue("No error in the log speaks of the number of outputs.", -DECISIVE))
    numbers = {
        value
        for key, item in case.run.config.items()
        if key.rsplit(".", 1)[-1] in {"num_labels", "num_classes", "n_classes", "max_classes"}
        and isinstance(value := item.value, (int, float))
    }
    if len(numbers) > 1:
        listed = ", ".join(f"{number:g}" for number in sorted(numbers))
        clues.append(Clue(f"The settings name different numbers of classes: {listed}.", STRONG))
    if any(
        key.rsplit(".", 1)[-1] == "num_labels" and item.value is None
        for key, item in case.run.config.items()
    ):
        clues.append(Clue("num_labels is not set: the model guesses it.", MODERATE))
    ratio = case.number("initial-loss-high", "ratio_to_log_c")
    if ratio is not None and ratio > MUCH:
        text = f"Unused outputs alone cost little; {ratio:.1f} x log(C) needs wrong labels as well."
        clues.append(Clue(text, -WEAK))
    return [*clues, *_even_guess(case), *model_clues(case), *excess_clues(case, STRONG)]


def _rows(case: Case) -> list[Clue]:
    """A checkpoint that differs in the number of rows alone has a head for another number of classes."""
    found = [match for line in lines(case) if (match := MISMATCH.search(line))]
    if not found or any(match[3] != match[5] for match in found):
        return []  # a model of another width
    heads = [match for match in found if not TOKENS.search(match[1])]
    rows = [(int(match[2]), int(match[4])) for match in heads]
    if not rows or max(map(max, rows)) > CLASSES:
        return []
    before, now = rows[0]
    named = HEAD.search(heads[0][1])
    text = (
        f'The log says "size mismatch for {heads[0][1]}": {before:,} outputs before, {now:,} now.'
    )
    return [Clue(text, STATED if named else MODERATE)]


def _even_guess(case: Case) -> list[Clue]:
    """A guess over K outputs costs log(K), the same for every sample, and sends back a small gradient."""
    first, norm = case.number("initial-loss-high", "initial_loss"), first_norm(case)
    if first is None or case.run.setting("num_classes") is None:
        return []
    if norm is None:
        return _without_norm(case, first)
    if norm > LARGE_NORM and first < MUCH * math.log(case.run.number("num_classes") or 1):
        text = f"The first gradient norm is {norm:.3g}: the outputs are sure of wrong answers, not even."
        return [Clue(text, -WEAK)]
    if norm > ORDINARY_NORM * SOMEWHAT or first > math.log(MOST_OUTPUTS):
        return []
    right = _at_first(case)
    guessed = 1 / (case.run.number("num_classes") or 1)
    if len(right) and right.mean() > SELDOM * guessed:
        text = (
            f"At first {right.mean():.0%} of the answers are right, as in a guess over the classes."
        )
        return [Clue(text, -MODERATE)]
    text = (
        f"The loss starts at {first:.3g} with a gradient norm of only {norm:.2g}: as an even guess over "
        f"{math.exp(first):,.0f} outputs."
    )
    return [Clue(text, STRONG if len(right) else MODERATE)]


def _without_norm(case: Case, first: float) -> list[Clue]:
    """Where no norm was logged, losses that are all but equal and answers that are hardly ever right tell."""
    right, classes = _at_first(case), case.run.number("num_classes") or 1
    batch = case.run.number("train_batch_size") or 0
    expected = len(right) * batch * (case.run.number("gradient_accumulation_steps") or 1) / classes
    if len(right) and right.mean() > SELDOM / classes:
        return []
    if not is_steady_at_first(case) and expected < ENOUGH:
        return []
    if not len(right):
        text = f"The first losses are near {first:.3g}, as a guess over {math.exp(first):,.0f} outputs."
        return [Clue(text, MODERATE)] if first < math.log(MOST_OUTPUTS) else []
    text = (
        f"The first losses are all near {first:.3g}, and {right.mean():.0%} of the answers right: as an even "
        f"guess over {math.exp(first):,.0f} outputs."
    )
    return [Clue(text, STRONG if first < math.log(MOST_OUTPUTS) else WEAK)]


def _at_first(case: Case) -> FloatArray:
    """Return the first accuracies, of steps whose loss is still that of the untrained model."""
    loss, accuracy = (case.run.series(f"train/{name}").finite() for name in ("loss", "accuracy"))
    if not len(loss) or not len(accuracy):
        return accuracy.value
    beside = np.interp(accuracy.step, loss.step, loss.value)
    early = beside > UNTRAINED * loss.value[0]
    return np.asarray(share(accuracy.value)[early][:FIRST])


def fix(case: Case) -> list[str]:
    """Name the number the log was judged with."""
    classes = case.number("initial-loss-high", "classes")
    number = f"{classes:.0f}" if classes else "the number of classes in the data"
    return [f"num_labels -> {number}, and check that the labels are 0..{number} - 1"]


HYPOTHESIS = Hypothesis(
    id="num-labels-mismatch",
    title="The number of labels does not fit the data",
    prior=-0.8,
    explains=("initial-loss-high", "crash"),
    weigh=weigh,
    fix=fix,
    probe="init",
)
