"""What a figure shows beside its curves to prove a finding, from the numbers that the finding carries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from loganalyze.finding import Finding
from loganalyze.run import Run, Series

SCATTER = 3.0  # robust standard deviations of the band around a usual level


@dataclass(frozen=True, slots=True)
class Ribbon:
    """A range of usual values, drawn as a band along the steps."""

    label: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Point:
    """A value that the finding speaks of, ringed and labelled."""

    label: str
    step: float
    value: float


@dataclass(frozen=True, slots=True)
class Proof:
    """Levels, ranges, points and imagined curves that stand beside the logged ones.

    Attributes
    ----------
    levels
        Label -> value, drawn as a dashed line.
    curves
        Label -> (steps, values), of what other settings would have done.
    gap
        Whether the space between the first two curves is shaded from the first point on.
    notes
        Sentences for the caption.
    """

    levels: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]] = field(default_factory=dict)
    ribbons: tuple[Ribbon, ...] = ()
    points: tuple[Point, ...] = ()
    gap: bool = False
    notes: tuple[str, ...] = ()

    @property
    def values(self) -> list[float]:
        """Every value that the axis must reach."""
        ribbons = [edge for ribbon in self.ribbons for edge in (ribbon.low, ribbon.high)]
        drawn = [edge for _, values in self.curves.values() for edge in (min(values), max(values))]
        return [*self.levels.values(), *ribbons, *drawn, *(point.value for point in self.points)]


def proof(finding: Finding) -> Proof:
    """Return what proves a finding on the figure of its first metric."""
    plain = Proof(dict(finding.levels), dict(finding.what_if))
    special = _SPECIAL.get(finding.id)
    return plain if special is None else special(_Numbers(finding), plain)


def derived(run: Run, finding: Finding) -> Series | None:
    """Return a curve that was not logged and shows the finding best, or None."""
    import numpy as np

    limit = _Numbers(finding).get("max_grad_norm")
    if finding.id != "clip-saturated" or limit is None:
        return None
    norm = run.series("train/grad_norm").finite()
    norm = norm.take(norm.value > 0)
    share = 100 * np.minimum(1.0, limit / norm.value)
    return norm.measuring("% of the gradient that survives clipping", share) if len(norm) else None


class _Numbers:
    """The evidence of a finding, as numbers."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding

    def get(self, name: str) -> float | None:
        value = self.finding.evidence.get(name)
        import math

        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        return float(value) if math.isfinite(value) else None

    def point(self, step: str, value: str, label: str) -> tuple[Point, ...]:
        """Return the point at the evidence `step` and `value`, if both are there."""
        at, height = self.get(step), self.get(value)
        if at is None or height is None:
            return ()
        return (Point(label.format(step=at, value=height), at, height),)

    def levels(self, **labels: str) -> dict[str, float]:
        """Return labelled levels for the evidence that is there."""
        found = {name: self.get(name) for name in labels}
        return {labels[n].format(value=v): v for n, v in found.items() if v is not None}


def _spike(numbers: _Numbers, plain: Proof) -> Proof:
    value, level, z = (numbers.get(name) for name in ("value", "level_before", "robust_z"))
    peak = numbers.point("step", "value", "{value:.4g} at step {step:,.0f}")
    if value is None or level is None or not z:
        return replace(plain, points=peak)
    reach = SCATTER * abs(value - level) / abs(z)
    label = f"level before {level:.4g} \N{PLUS-MINUS SIGN} {SCATTER:g} x its scatter"
    return replace(plain, points=peak, ribbons=(Ribbon(label, level - reach, level + reach),))


def _explosion(numbers: _Numbers, plain: Proof) -> Proof:
    return replace(plain, points=numbers.point("first_step", "value", "{value:.4g}"))


def _clip(numbers: _Numbers, plain: Proof) -> Proof:
    share, clipped = numbers.get("median_surviving_share"), numbers.get("share_clipped")
    if share is None or clipped is None:
        return plain
    note = (
        f"{clipped:.0%} of the steps lie above the line and are clipped to it: of the median gradient "
        f"{share:.2%} survives."
    )
    return replace(plain, notes=(note,))


def _turn(numbers: _Numbers, plain: Proof) -> Proof:
    best = numbers.point("best_step", "best_eval_loss", "best evaluation, step {step:,.0f}")
    return replace(plain, points=best, gap=True)


def _best(numbers: _Numbers, plain: Proof) -> Proof:
    return replace(plain, points=numbers.point("best_step", "best_loss", "best, step {step:,.0f}"))


def _jump(numbers: _Numbers, plain: Proof) -> Proof:
    return replace(
        plain,
        levels={
            **plain.levels,
            **numbers.levels(level_before="before {value:.4g}", level_after="after {value:.4g}"),
        },
    )


def _last_finite(numbers: _Numbers, plain: Proof) -> Proof:
    label = "last finite {value:.4g}, step {step:,.0f}"
    return replace(plain, points=numbers.point("last_finite_step", "last_finite_loss", label))


def _scale(numbers: _Numbers, plain: Proof) -> Proof:
    halvings = numbers.get("halvings")
    note = () if halvings is None else (f"The scale was halved {halvings:,.0f} times.",)
    levels = numbers.levels(highest="highest {value:,.6g}", last="last {value:,.6g}")
    return replace(plain, levels={**plain.levels, **levels}, notes=note)


def _slower(numbers: _Numbers, plain: Proof) -> Proof:
    if not numbers.finding.metrics or "seconds" not in numbers.finding.metrics[0]:
        return plain
    levels = numbers.levels(before_s="before {value:.3g} s", after_s="after {value:.3g} s")
    return replace(plain, levels={**plain.levels, **levels})


def _stall(numbers: _Numbers, plain: Proof) -> Proof:
    return replace(plain, levels={**plain.levels, **numbers.levels(usual_s="usual {value:.3g} s")})


def _leak(numbers: _Numbers, plain: Proof) -> Proof:
    first, last, steps = numbers.get("first"), numbers.get("last"), numbers.finding.steps
    each = numbers.get("per_step")
    if first is None or last is None or each is None or steps is None:
        return plain
    line = {f"grows by {each:.3g} a step": ([*map(float, steps)], [first, last])}
    return replace(plain, curves={**plain.curves, **line})


def _plateau(numbers: _Numbers, plain: Proof) -> Proof:
    return replace(plain, levels={**plain.levels, **numbers.levels(level="level {value:.4g}")})


_SPECIAL: dict[str, Callable[[_Numbers, Proof], Proof]] = {
    "loss-spike": _spike,
    "grad-explosion": _explosion,
    "clip-saturated": _clip,
    "overfit-gap": _turn,
    "loss-divergence": _best,
    "loss-jump-on-resume": _jump,
    "loss-nonfinite": _last_finite,
    "loss-scale-collapse": _scale,
    "throughput-drop": _slower,
    "stall": _stall,
    "memory-leak": _leak,
    "loss-plateau": _plateau,
}
