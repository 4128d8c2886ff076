"""The learning rates in common use, by what is known of the optimizer."""

from __future__ import annotations

from loganalyze.run import Run

HIGH_FOR_ADAM = 1e-3  # full trainings with Adam use 1e-5 to 1e-3
HIGH_FOR_SGD = 1.0  # SGD with a batch of 256 begins at 0.1
HIGH_UNKNOWN = 1e-2  # above it for any adaptive optimizer, and not low for SGD


def common_rates(run: Run) -> tuple[float, str]:
    """Return the highest rate in common use, and for which optimizer that is: `` for Adam``."""
    found = run.setting("optim") or run.setting("optimizer")
    name = str(found.value).lower() if found is not None else ""
    if "adam" in name or (not name and run.framework == "hf-trainer"):
        return HIGH_FOR_ADAM, " for Adam"
    if "sgd" in name:
        return HIGH_FOR_SGD, " for SGD"
    return HIGH_UNKNOWN, " for most optimizers"
