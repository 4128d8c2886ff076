"""A binary cross-entropy of outputs that are probabilities already."""

from __future__ import annotations

import math
import re

import numpy as np

from loganalyze.causes.cause import DECISIVE, Case
from loganalyze.finding import Clue
from loganalyze.signals.loss_kind import SETTINGS_THAT_TELL
from loganalyze.signals.robust import FloatArray

BINARY = re.compile(r"bce|binary|sigmoid|multi_?label", re.I)
PRESENT, ABSENT = math.log1p(math.exp(-0.5)), math.log1p(math.exp(0.5))  # cost of a label at 1/2
BEGINS = 1.04 * math.log(
    2
)  # honest outputs begin at ln 2, heads of the usual scale 1 to 3 % above it
FALLS = 0.97  # of the first loss: it left its start
EXACT = 0.01  # relative distance; logs round to three or four digits
LAST = 10  # points whose median is the level at the end
STANDING = ("loss-plateau", "slow-convergence")


def sigmoid_twice(case: Case, loss: FloatArray) -> list[Clue]:
    """A binary cross-entropy whose logits are probabilities starts above ln 2 and cannot get far below it.

    An untrained output of 1/2 costs a label that is there log(1 + exp(-1/2)) = 0.47 and one that is not
    log(1 + exp(1/2)) = 0.97. The least is log(1 + 1/e) = 0.31 for the one and ln 2 = 0.69 for the other, so
    that a model which says "none" of everything has ln 2, where an honest one would have the entropy of the
    frequencies.
    """
    if len(loss) < LAST or not BINARY.search(_of_loss(case)) or not case.found(*STANDING):
        return []
    evals = case.run.series("eval/loss").finite().value
    first, end = float(loss[0]), float(np.median(loss[-LAST:]))
    there = min(max((ABSENT - first) / (ABSENT - PRESENT), 0.0), 1.0)  # share of the labels
    floor = there * math.log(1 + 1 / math.e) + (1 - there) * math.log(2)
    lowest = float(np.concatenate([evals, [end]]).min())
    if not BEGINS < first < (1 + EXACT) * ABSENT or end > FALLS * first:
        return []
    if lowest < (1 - 2 * EXACT) * floor or end > (1 + EXACT) * math.log(2):
        return []
    text = (
        f"The loss of yes and no starts at {first:.3g}, above ln 2, and stops at {end:.3g}: of outputs that "
        f"are probabilities already it is {floor:.2g} at least, as if a sigmoid were applied twice."
    )
    return [Clue(text, DECISIVE)]


def _of_loss(case: Case) -> str:
    found = (case.run.setting(key) for key in SETTINGS_THAT_TELL)
    return " ".join(str(item.value) for item in found if item is not None)
