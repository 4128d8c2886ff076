"""A loss that began at a guess and stands above one: what steps that are too long leave, or noise alone."""

from __future__ import annotations

from loganalyze.causes.cause import MODERATE, STRONG, WEAK, Case
from loganalyze.causes.course import above_guess, is_sorted
from loganalyze.finding import Clue

MOSTLY = 0.25  # of the run
# Times a guess. Weights that follow the noise of small batches lie above one by about half the rate times the
# number of weights: up to some per cent at ordinary rates.
FAR_ABOVE = 1.04
# What an overshooting update leaves behind. Clipping alone is none: a loss that is k times too
# large makes a norm that is k times too large at any rate.
OVERSHOOT = (
    "loss-divergence",
    "loss-nonfinite",
    "loss-spike",
    "loss-zero",
    "grad-explosion",
    "grad-nonfinite",
)


def above_clues(case: Case) -> list[Clue]:
    """Weigh how long and how far the loss lies above a guess."""
    above = None if is_sorted(case) else above_guess(case)
    if above is not None and above.share > MOSTLY and above.times < FAR_ABOVE:
        text = (
            f"For {above.share:.0%} of the run the loss stands {above.times - 1:.1%} above a guess: steps "
            "that overshoot do that, and so do labels that mean nothing where batches are small."
        )
        return [Clue(text, WEAK)]
    if above is not None and above.share > MOSTLY:
        text = (
            f"For {above.share:.0%} of the run the loss stands above a guess: steps that overshoot do that, "
            "wrong labels or missing updates do not."
        )
        return [Clue(text, STRONG)]
    if (
        above is not None
        and above.share == 0
        and not case.found(*OVERSHOOT)
        and case.found("loss-at-chance")
    ):
        text = "The loss never rose above its start: steps that are too long raise it."
        return [Clue(text, -MODERATE)]
    return []
