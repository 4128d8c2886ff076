"""Whether B is worse than A: what ``loganalyze diff --fail-on regression`` asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loganalyze.compare.values import Fate, Outcome
from loganalyze.errors import UsageError
from loganalyze.finding import Severity

if TYPE_CHECKING:
    from loganalyze.compare.comparison import Pair
    from loganalyze.compare.values import Metric

DEFAULTS = ("eval/loss", "train/loss")


def regressed(pair: Pair, metric: str | None = None) -> bool:
    """Tell whether a run is worse than the base beyond noise, or has a critical finding of its own.

    Parameters
    ----------
    metric
        Which metric decides; by default the evaluation's loss, or else the training's.

    Raises
    ------
    UsageError
        If the runs cannot be judged by it.
    """
    critical = [c for c in pair.findings if c.b is not None and c.b.severity is Severity.CRITICAL]
    if any(change.fate in (Fate.NEW, Fate.WORSE) for change in critical):
        return True
    if pair.verdict.outcome is Outcome.INCOMPARABLE:
        raise UsageError(f"cannot tell a regression: {' '.join(pair.verdict.details)}")
    return _deciding(pair, metric).verdict < 0


def _deciding(pair: Pair, name: str | None) -> Metric:
    wanted = DEFAULTS if name is None else (name,)
    found = next((m for wish in wanted if (m := pair.metric(wish)) is not None), None)
    if found is None:
        both = ", ".join(m.name for m in pair.metrics if m.scale.better) or "none"
        raise UsageError(
            f"cannot tell a regression: not both runs log {' or '.join(wanted)}; "
            f"losses and scores of both: {both}"
        )
    if not found.scale.better:
        raise UsageError(
            f"cannot tell a regression by {found.name}: its name does not say whether lower or higher is "
            "better"
        )
    return found
