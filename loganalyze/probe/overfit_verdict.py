"""What training on one batch says, in sentences and for the causes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from loganalyze.causes.cause import DECISIVE, MODERATE, STATED, STRONG, WEAK
from loganalyze.probe.step import not_in_optimizer
from loganalyze.probe.verdict import Verdict
from loganalyze.probed import ProbeFigure, ProbeResult

if TYPE_CHECKING:
    from loganalyze.probe.bench import Bench
    from loganalyze.probe.overfit import Attempt

STILL = 0.01  # relative fall below which the loss does not move
NO_GRADIENT = 1e-7  # norm; below it nothing is learned in 100 steps
UNMOVED = 1e-7  # relative change of the parameters; the rounding of float32
RIGHT = 0.999  # share of the predictions
HARDLY = 0.1  # share of the loss; a fall below it in 100 steps is slow


def conclude(
    bench: Bench, attempts: Sequence[Attempt], contradictions: int, figures: tuple[ProbeFigure, ...]
) -> ProbeResult:
    """Word what the attempts came to."""
    verdict = Verdict()
    own, best = attempts[0], min(attempts, key=_rank)
    if best.reached:
        _learned(verdict, own, best)
    elif own.last < -0.01:
        text = (
            f"The loss falls below 0, from {own.first:.4g} to {own.last:.4g}: it has no bottom, and no right "
            "answer ends the training."
        )
        verdict.finds(text, DECISIVE, "wrong-loss-function", fix="Look at the sign of the loss")
    elif not best.is_finite:
        _not_finite(verdict, own, attempts)
    elif best.fell < STILL:
        _still(verdict, own, best, attempts)
    else:
        _not_to_zero(verdict, own, best, contradictions)
    unheld = not_in_optimizer(bench)
    if unheld:
        verdict.notes.append(
            f"{len(unheld)} trainable parameters are not in the optimizer: {_few(unheld)}."
        )
    return verdict.result(_in_order(own, best), _measured(own, best, attempts), figures)


def _rank(attempt: Attempt) -> tuple[bool, bool, float]:
    return (
        not attempt.reached,
        not attempt.is_at_goal,
        attempt.last if attempt.is_finite else math.inf,
    )


def _in_order(own: Attempt, best: Attempt) -> str:
    text = (
        f"One batch is learned: the loss falls from {best.first:.4g} to {best.last:.3g} in "
        f"{len(best.losses)} steps at a learning rate of {best.rate:.3g}"
    )
    if not best.is_at_goal:
        text += ", and every prediction is right"
    if own is best:
        return f"{text}."
    if not own.is_finite:
        return f"{text}; at the training's own, {own.rate:.3g}, it becomes NaN."
    return f"{text}; at the training's own, {own.rate:.3g}, it falls to {own.last:.4g} in {len(own.losses)}."


def _learned(verdict: Verdict, own: Attempt, best: Attempt) -> None:
    text = _in_order(own, best)
    verdict.says(-DECISIVE, text, "frozen-parameters")
    verdict.says(-STRONG, text, "wrong-loss-function", "vanishing-gradients", "labels-all-masked")
    verdict.says(-MODERATE, text, "num-labels-mismatch")
    # Labels that mean nothing can be learned by heart: if this works and training does not, it is they.
    verdict.says(MODERATE, text, "labels-wrong", "overfit-small-data")
    if own.reached:
        verdict.says(-MODERATE, text, "lr-too-low", "lr-too-high", "optimizer-hyperparameters")
    elif not own.is_finite:
        verdict.problems.append(text)
        verdict.says(DECISIVE, text, "lr-too-high")
        verdict.fix.append(f"learning_rate {own.rate:.3g} -> {best.rate:.3g}")
    else:
        verdict.says(STRONG if own.fell < HARDLY else MODERATE, text, "lr-too-low")
        verdict.says(-STRONG, text, "lr-too-high")
        verdict.notes.append(
            "That is slow for one batch; a training of many steps may still be right with it."
        )


def _not_finite(verdict: Verdict, own: Attempt, attempts: Sequence[Attempt]) -> None:
    if not math.isfinite(own.first):
        text = "The loss is not finite before the first step; the check nan says where it begins."
        verdict.finds(text, MODERATE, "nan-in-data", "fp16-overflow")
        return
    text = (
        f"The loss becomes NaN or infinite at step {len(own.losses) - 1}, at each learning rate tried "
        f"({', '.join(f'{one.rate:.3g}' for one in attempts)})."
    )
    verdict.finds(
        text,
        MODERATE,
        "lr-too-high",
        "fp16-overflow",
        "low-precision-instability",
        fix=f"learning_rate {own.rate:.3g} -> {own.rate / 100:.3g}; then run the check nan",
    )


def _still(verdict: Verdict, own: Attempt, best: Attempt, attempts: Sequence[Attempt]) -> None:
    rates = ", ".join(f"{one.rate:.3g}" for one in attempts)
    stays = (
        f"The loss does not fall on one batch: {own.first:.4g} at first, {best.last:.4g} at last"
    )
    if best.moved < UNMOVED:
        text = f"{stays}, and no parameter moves; the norm of the gradient is {own.norm:.2g}."
        verdict.finds(
            text,
            STATED,
            "frozen-parameters",
            fix="See what has a gradient: loganalyze probe gradients",
        )
    elif own.norm < NO_GRADIENT:
        text = f"{stays}; the norm of its gradient is {own.norm:.2g}."
        verdict.finds(
            text,
            DECISIVE,
            "vanishing-gradients",
            "frozen-parameters",
            fix="Look at each layer: loganalyze probe gradients",
        )
    elif own.fell < -STILL:
        text = (
            f"The loss rises on one batch, from {own.first:.4g} to {own.losses[-1]:.4g}, at each learning "
            f"rate tried ({rates}): the step goes the wrong way."
        )
        verdict.finds(text, DECISIVE, "wrong-loss-function", fix="Look at the sign of the loss")
        verdict.says(STRONG, text, "lr-too-high", "optimizer-hyperparameters")
    else:
        text = (
            f"{stays}, at each learning rate tried ({rates}), though the parameters move: what is trained "
            "does not lower the loss."
        )
        verdict.finds(
            text,
            STRONG,
            "wrong-loss-function",
            "inputs-not-normalized",
            "vanishing-gradients",
            fix="Follow loss -> logits -> inputs: one of them does not depend on the other",
        )
        verdict.says(-STRONG, text, "frozen-parameters")
    verdict.says(-STRONG, text, "labels-wrong", "overfit-small-data")


def _not_to_zero(verdict: Verdict, own: Attempt, best: Attempt, contradictions: int) -> None:
    text = (
        f"One batch is not learned: the loss falls from {best.first:.4g} to {best.last:.4g} in "
        f"{len(best.losses)} steps at the best of the learning rates tried, {best.rate:.3g}."
    )
    verdict.finds(
        text,
        WEAK,
        "wrong-loss-function",
        "vanishing-gradients",
        "lr-too-low",
        "optimizer-hyperparameters",
    )
    verdict.says(-STRONG, text, "frozen-parameters")
    verdict.says(-MODERATE, text, "labels-wrong", "overfit-small-data")
    if best.accuracy is not None and best.accuracy >= RIGHT:
        again = f"Every prediction is right, and the loss stays at {best.last:.4g}: its bottom is not 0."
        verdict.problems.insert(0, again)
        verdict.says(STRONG, again, "wrong-loss-function")
        verdict.fix.append("Give the loss raw logits: softmax twice keeps it up")
    if best.still:
        verdict.notes.append(f"Parameters that did not move: {_few(best.still)}.")
    if contradictions:
        again = f"{contradictions} samples of the batch have the input of another one, and another label."
        verdict.problems.append(again)
        verdict.says(STRONG, again, "labels-wrong")
        verdict.fix.append("Look at the labels of samples with the same input")
    verdict.fix.append(
        "A higher learning rate, more steps, or a larger model; then the check gradients"
    )


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _measured(own: Attempt, best: Attempt, attempts: Sequence[Attempt]) -> dict[str, float | str]:
    found: dict[str, float | str | None] = {
        "learning_rate": own.rate,
        "loss_first": own.first,
        "loss_last": own.last,
        "steps": len(own.losses),
        "gradient_norm": own.norm,
        "parameters_moved_relative": own.moved,
        "parameters_that_stood_still": len(best.still),
        "accuracy": best.accuracy,
        "best_learning_rate": best.rate,
        "best_loss_last": best.last,
        "learning_rates_tried": len(attempts),
    }
    return {name: value for name, value in found.items() if value is not None}
