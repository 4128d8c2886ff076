"""Words and numbers that every rendering of a diff uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loganalyze.compare.settings import plain
from loganalyze.compare.values import Axis, Change, Outcome, SettingKind
from loganalyze.compare.verdict import percent, place
from loganalyze.lang.translation import label, translate
from loganalyze.report.redact import redact_value
from loganalyze.report.text import figure

if TYPE_CHECKING:
    from loganalyze.compare.comparison import Pair
    from loganalyze.compare.values import Level, Metric, Setting, Speed, Throughput

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# The style of each outcome: that of the verdict of a run.
STYLE = {
    Outcome.IDENTICAL: "healthy",
    Outcome.SAME: "healthy",
    Outcome.BETTER: "healthy",
    Outcome.WORSE: "critical",
    Outcome.MIXED: "warning",
    Outcome.DIFFERENT: "warning",
    Outcome.INCOMPARABLE: "insufficient",
    Outcome.INSUFFICIENT: "insufficient",
}
SHAPES = {
    "critical": ("▲", "x"),
    "warning": ("■", "!"),
    "healthy": ("●", "ok"),
    "insufficient": ("◆", "?"),
}
MARKS = {Change.DIFFERENT: "~", Change.ONLY_A: "-", Change.ONLY_B: "+", Change.SAME: "="}
NOT_TOLD = "not told"
LONGEST = 60  # characters of a setting's value


def level(value: float) -> str:
    """Return a level of a metric to four digits."""
    return f"{value:.4g}"


def change(found: Level, metric: Metric) -> str:
    """Return by how much B lies above A: in percent where ratios are compared."""
    if metric.scale.logarithmic:
        return f"{100 * percent(found.change):+.3g}%"
    return f"{found.change:+.3g}"


def interval(found: Level, metric: Metric) -> str:
    """Return the interval of that."""
    if metric.scale.logarithmic:
        return f"{100 * percent(found.low):+.3g}% to {100 * percent(found.high):+.3g}%"
    return f"{found.low:+.3g} to {found.high:+.3g}"


def parts_at(metric: Metric, axis: Axis, lang: str) -> str:
    """Say where a metric's curves part, in few words."""
    if metric.identical:
        return label("identical", lang)
    parting = metric.parting
    if parting is None:
        return label("no parting", lang)
    at = translate(place(parting.at, axis), lang)
    if parting.until is not None and parting.significant:
        until = translate(place(parting.until, axis), lang)
        return label(f"{at}, together again at {until}", lang)
    if parting.exact and not parting.significant:
        return label(f"{at}, within noise", lang)
    return at


def value(setting: Setting, side: str) -> str:
    """Return the value that a run has of a setting, in short and without secrets."""
    missing = Change.ONLY_B if side == "a" else Change.ONLY_A
    if setting.change is missing:
        return NOT_TOLD
    found = redact_value(setting.key, setting.a if side == "a" else setting.b)
    known = plain(found)
    text = figure(known) if isinstance(known, float) else str(found)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def faster(speed: Speed, letter: str) -> str:
    """Say how soon each run reached a level."""
    a, b = (place(at, speed.axis) for at in (speed.a, speed.b))
    ratio = speed.ratio if speed.ratio >= 1 else 1 / speed.ratio
    who = letter if speed.ratio >= 1 else "A"
    target = f"{speed.metric} {speed.target:.4g}"
    if speed.low <= 1.0 <= speed.high:
        return f"A reached {target} at {a}, {letter} at {b}: no faster than another seed may be."
    return f"A reached {target} at {a}, {letter} at {b}: {who} is {ratio:.2g} x faster."


def pace(found: Throughput, letter: str) -> str:
    """Say which run made its steps faster."""
    metric, a, b = found.metric, found.a, found.b
    if not found.differs:
        return (
            f"{metric} is {a:.4g} in A, {b:.4g} in {letter}: no difference in speed beyond noise."
        )
    return (
        f"{metric} is {a:.4g} in A, {b:.4g} in {letter}: {letter} runs {found.ratio:.3g} x as fast "
        f"({found.low:.3g} to {found.high:.3g})."
    )


def counted(pair: Pair) -> str:
    """Say how many settings became what."""
    count = dict.fromkeys(Change, 0)
    for setting in pair.settings:
        count[setting.change] += setting.kind is not SettingKind.DERIVED
    return (
        f"{count[Change.DIFFERENT]:,} different, {count[Change.ONLY_A]:,} only in A, "
        f"{count[Change.ONLY_B]:,} only in B, {count[Change.SAME]:,} the same"
    )
