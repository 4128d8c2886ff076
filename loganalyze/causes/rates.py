"""The learning rates in common use, by what is known of the optimizer."""

from __future__ import annotations

import re

from loganalyze.run import Run
from loganalyze.signals.loss_kind import LossKind, loss_kind

HIGH_FOR_ADAM = 1e-3  # full trainings with Adam use 1e-5 to 1e-3
HIGH_FOR_SGD = 1.0  # SGD without momentum
# With momentum m a gradient is followed for 1 / (1 - m) steps, so that the steps add up to
# rate / (1 - m). Image classifiers use 0.1 with momentum 0.9, which is 1.
HIGH_WITH_MOMENTUM = 2.0  # rate / (1 - m), twice that
ORDINARY_MOMENTUM = 0.9
USUAL_MOMENTUM = 0.95  # the most that is usual
FAR_BELOW = 0.02  # share of the highest rate in common use: hardly anything is learned
NEXT_TO_NOTHING = (
    5e-4  # share of it: half the least of fine-tunings; an evaluation stands, to its digits
)
HIGH_UNKNOWN = 1e-2  # above it for any adaptive optimizer, and not low for SGD

OF_ADAM = ("betas", "beta1", "beta2", "adam_beta1", "adam_beta2")  # settings that SGD does not have

_IN_CALL = re.compile(r"\b(?:lr|learning_rate)=(\d[\d.]*(?:e-?\d+)?)", re.I)  # Adam(lr=0.001)


def told_rate(run: Run) -> float | None:
    """Return the learning rate of the settings: of its own, or in the call that makes the optimizer."""
    found = _IN_CALL.search(optimizer(run))
    return run.number("learning_rate") or (float(found.group(1)) if found else None)


def optimizer(run: Run) -> str:
    """Return the optimizer's name in lower case, as far as it is known; empty where it is not.

    Betas are settings of Adam, a momentum without them one of SGD, whoever prints it.
    """
    found = run.setting("optim") or run.setting("optimizer")
    if found is not None:
        return str(found.value).lower()
    if any(run.setting(key) is not None for key in OF_ADAM):
        return "adam"
    if run.number("momentum"):
        return "sgd"
    return "adamw" if run.framework == "hf-trainer" else ""


def is_adam(run: Run) -> bool:
    """Tell whether the optimizer divides each gradient by its own size."""
    return "adam" in optimizer(run)


def is_unbounded(run: Run) -> bool:
    """Tell whether nothing bounds a step: the error of a regression is its own gradient, and SGD follows it.

    A cross-entropy has a bounded gradient, Adam a bounded step, clipping both.
    """
    regression = loss_kind(run) is LossKind.REGRESSION
    return regression and "sgd" in optimizer(run) and not run.number("max_grad_norm")


def common_rates(run: Run) -> tuple[float, str]:
    """Return the highest rate in common use, and for which optimizer that is: `` for Adam``."""
    if is_adam(run):
        return HIGH_FOR_ADAM, " for Adam"
    if "sgd" not in optimizer(run):
        return HIGH_UNKNOWN, " for most optimizers"
    momentum = run.number("momentum") or 0.0
    if not 0 < momentum < 1:
        return HIGH_FOR_SGD, " for SGD"
    # More than that is odd itself, and not the rate beside it.
    momentum = min(momentum, USUAL_MOMENTUM)
    most = min(HIGH_FOR_SGD, HIGH_WITH_MOMENTUM * (1 - momentum))
    return most, f" for SGD with momentum {momentum:g}"


def low_rate(run: Run) -> float:
    """Return the rate up to which hardly anything is learned.

    SGD whose momentum is not told may have the usual one, which makes its steps ten times longer.
    """
    high, _ = common_rates(run)
    if "sgd" in optimizer(run) and run.number("momentum") is None:
        high = HIGH_WITH_MOMENTUM * (1 - ORDINARY_MOMENTUM)
    return FAR_BELOW * high
