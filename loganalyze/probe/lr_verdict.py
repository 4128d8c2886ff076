"""What the range test says of the training's own learning rate, in sentences and for the causes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, WEAK
from loganalyze.probe.verdict import Verdict
from loganalyze.probed import ProbeFigure, ProbeResult, ProbeTable

if TYPE_CHECKING:
    from loganalyze.probe.bench import Bench
    from loganalyze.probe.lr import Ranged
    from loganalyze.probe.sweep import Sweep

TAIL = 4  # the last quarter of a trial is its end
LITTLE = 0.1  # share of what the suggested rate does in the same steps
FAR = 100.0  # x below the suggestion; what is left to the number of steps lies within
USUAL = 10.0  # x around the suggestion: rules and batches differ by as much
WIDE = 10.0  # x between two sweeps by the same rule
OFF = 2.0  # x the loss of a guess: a start that is wrong, which any large step mends


def conclude(
    bench: Bench, found: Ranged, figures: Sequence[ProbeFigure], tables: Sequence[ProbeTable]
) -> ProbeResult:
    """Word what sweeps and trials came to."""
    verdict = Verdict()
    trial, suggested = found.own_trial, found.suggested
    in_order = f"The learning rate of the training, {found.own:.3g}, is in order."
    if not found.sweeps:
        verdict.problems.append("The loss is not finite at any learning rate; see the check nan.")
        verdict.says(-STRONG, verdict.problems[0], "lr-too-high")
    elif trial is not None and _rises(found, trial):
        _too_high(verdict, found, trial)
    elif suggested is None:
        _falls_nowhere(verdict, found)
    elif trial is not None and found.suggested_trial is not None:
        in_order = _compared(verdict, found, suggested, trial, found.suggested_trial)
    _notes(verdict, found)
    return verdict.result(in_order, _measured(found), figures, tables)


def _level(found: Ranged) -> float:
    """Return the loss before anything changes."""
    return sum(one.level for one in found.sweeps) / len(found.sweeps)


def end(trial: Sweep) -> float:
    """Return the mean loss at the end of a trial."""
    last = trial.losses[-max(1, len(trial.losses) // TAIL) :]
    return sum(last) / len(last)


def _rises(found: Ranged, trial: Sweep) -> bool:
    """Tell whether the loss is higher, beyond its noise, after steps at the own rate than before."""
    if trial.broke or not trial.losses:
        return True
    noise = max(one.noise for one in found.sweeps)
    return end(trial) > _level(found) + max(2 * noise, 0.05 * abs(_level(found)))


def _too_high(verdict: Verdict, found: Ranged, trial: Sweep) -> None:
    """The own rate makes the loss rise: by its height, or because it comes without warm-up."""
    level = _level(found)
    reached = f"{end(trial):.4g}" if trial.losses and not trial.broke else "no end"
    if trial.broke:
        text = (
            f"At the training's learning rate, {found.own:.3g}, the loss breaks away from {level:.4g} after "
            f"{max(len(trial.losses), 1)} steps."
        )
    else:
        text = (
            f"At the training's learning rate, {found.own:.3g}, the loss rises from {level:.4g} to {reached} "
            f"in {len(trial.losses)} steps."
        )
    suggested = found.suggested
    fix = f"learning_rate {found.own:.3g} -> {suggested:.2g}" if suggested is not None else ""
    verdict.finds(text, DECISIVE, "lr-too-high", fix=fix)
    verdict.says(-DECISIVE, text, "lr-too-low")
    if all(_holds(one, found.own) for one in found.sweeps):
        again = (
            f"Where the rate rises slowly, the loss still falls at {found.own:.3g}: warm-up may be "
            "enough."
        )
        verdict.notes.append(again)
        verdict.says(STRONG, again, "warmup-too-short")
        verdict.says(-MODERATE, again, "lr-too-high")
    elif suggested is None:
        verdict.fix.append("Lower the learning rate to a tenth, then run this check again")


def _holds(one: Sweep, rate: float) -> bool:
    """Tell whether the loss of a sweep is still on its way down at a rate."""
    return one.falls and one.minimum >= rate


def _falls_nowhere(verdict: Verdict, found: Ranged) -> None:
    text = (
        f"The loss falls at no learning rate from {found.sweeps[0].rates[0]:.0e} to "
        f"{max(one.rates[-1] for one in found.sweeps):.2g}: it is not the rate that keeps it up (or the "
        "model is trained already)."
    )
    verdict.finds(text, -STRONG, "lr-too-low", "lr-too-high",
                  fix="See whether one batch can be learned: loganalyze probe overfit")  # fmt: skip


def _compared(verdict: Verdict, found: Ranged, suggested: float, own: Sweep, best: Sweep) -> str:
    """Judge the own rate beside the suggested one; return what to say where it is in order."""
    level = _level(found)
    fell, could = level - end(own), level - end(best)
    text = (
        f"In {len(own.losses)} steps the loss falls from {level:.4g} to {end(own):.4g} at the training's "
        f"learning rate, {found.own:.3g}, and to {end(best):.4g} at the suggested one, {suggested:.2g}."
    )
    if best.broke or could <= 0:
        verdict.notes.append(
            f"The suggested rate, {suggested:.2g}, does not hold for {len(best.rates)} steps."
        )
        verdict.says(-MODERATE, text, "lr-too-low")
        return f"The learning rate of the training, {found.own:.3g}, holds: the loss ends at {end(own):.4g}."
    ratio = suggested / found.own if found.own > 0 else float("inf")
    if found.guess is not None and level > OFF * found.guess:
        verdict.notes.append(
            f"The loss starts at {level / found.guess:.1f} x that of a guess. Mend the start first: a large "
            "rate looks good because it undoes it."
        )
    elif fell < LITTLE * could and ratio > FAR:
        shown = f"The learning rate is {ratio:,.0f} x below the suggested one. {text}"
        verdict.finds(
            shown, DECISIVE, "lr-too-low", fix=f"learning_rate {found.own:.3g} -> {suggested:.2g}"
        )
        verdict.says(-DECISIVE, shown, "lr-too-high")
    elif fell < LITTLE * could and ratio > USUAL:
        verdict.notes.append(f"{text} That is slow, as a fine-tuning may want it.")
        verdict.says(MODERATE, text, "lr-too-low")
        verdict.says(-STRONG, text, "lr-too-high")
    else:
        verdict.says(-STRONG, text, "lr-too-low")
        above = all(found.own > one.minimum for one in found.useful)
        verdict.says(WEAK if above else -MODERATE, text, "lr-too-high")
        if above:
            verdict.notes.append(
                "The training's learning rate lies above that of the lowest loss in each sweep: it is near "
                "its limit."
            )
    return text


def _notes(verdict: Verdict, found: Ranged) -> None:
    if found.same_batches:
        verdict.notes.append(
            "There is one batch only: both sweeps use it, and the spread says nothing."
        )
    elif len(found.useful) > 1 and found.spread > WIDE:
        verdict.notes.append(
            f"With other batches the same rule suggests a rate {found.spread:.0f} x apart: take the "
            "suggestion as an order of magnitude."
        )
    if len(found.sweeps) < 2:
        verdict.notes.append(
            "There was time for one sweep only: how far other batches change it is unknown."
        )


def _measured(found: Ranged) -> dict[str, float | str]:
    told: dict[str, float | str | None] = {
        "learning_rate": found.own,
        "lr_suggested": found.suggested,
        "spread_of_suggestions": found.spread if len(found.useful) > 1 else None,
        "loss_before": _level(found) if found.sweeps else None,
        "loss_after_own": _ended(found.own_trial),
        "loss_after_suggested": _ended(found.suggested_trial),
    }
    for number, one in enumerate(found.sweeps, 1):
        told[f"steps_of_sweep_{number}"] = len(one.losses)
        told[f"highest_rate_of_sweep_{number}"] = one.rates[-1]
        if one.falls:
            told |= {f"lr_{name}_of_sweep_{number}": rate for name, rate in one.suggestions.items()}
    return {name: value for name, value in told.items() if value is not None}


def _ended(trial: Sweep | None) -> float | None:
    return end(trial) if trial is not None and trial.losses else None
