"""At which learning rates does the loss fall, and is the training's own one of them?

What it does
------------
Two sweeps, each over batches of its own: one optimizer step at each of 200 learning rates from 1e-7 to 1,
evenly spread in the logarithm, until the loss is 4 x its best or not finite. Three usual rules read a
suggestion from each curve: the steepest descent, the middle of the longest descent ("valley"), a tenth of the
rate of the lowest loss. The suggestion is their median; how far they and the two sweeps lie apart is told,
too.

A sweep holds each rate for one step only. So the training's own rate is then held for 60 steps, and so is the
suggested one, on the same batches: what they do decides.

Thresholds
----------
1e-7 to 1, 200 steps, running mean with 0.05, 4 x its best: the source's. That running mean lags 20 steps
behind, most of a decade; the suggestions are read from a mean that does not lag. A rate is too low when it is
less than a hundredth of the suggestion and does less than a tenth of what that does.

References
----------
Smith, Cyclical Learning Rates for Training Neural Networks (2017), section 3.3; fastai, ``lr_find`` (valley).
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from loganalyze.probe import batches, call
from loganalyze.probe.guess import guess
from loganalyze.probe.lr_verdict import conclude
from loganalyze.probe.probe import Probe, not_applicable
from loganalyze.probe.sweep import Sweep, constant, held, sweep
from loganalyze.probed import Curve, Drawn, ProbeFigure, ProbeResult, ProbeTable

if TYPE_CHECKING:
    from loganalyze.probe.bench import Bench

STEPS, FEWEST = 200, 40  # of a sweep; fewer where a step takes long
TRIAL = 60  # steps at one rate
SHARE = 0.35  # of the time, for each sweep


@dataclass(frozen=True)
class Ranged:
    """What sweeps and trials came to.

    Attributes
    ----------
    own
        The training's own learning rate.
    own_trial, suggested_trial
        Steps at that rate, and at the suggested one; None where there was no time or no suggestion.
    same_batches
        Whether both sweeps had to use the same ones.
    guess
        The loss of a guess, or None where that means nothing.
    """

    sweeps: tuple[Sweep, ...]
    own: float
    own_trial: Sweep | None
    suggested_trial: Sweep | None
    same_batches: bool
    guess: float | None

    @property
    def useful(self) -> list[Sweep]:
        """The sweeps in which the loss falls."""
        return [one for one in self.sweeps if one.falls]

    @property
    def suggested(self) -> float | None:
        """The median of all suggestions, in the logarithm; None where no loss falls."""
        found = [math.log10(rate) for one in self.useful for rate in one.suggestions.values()]
        return 10 ** statistics.median(found) if found else None

    @property
    def spread(self) -> float:
        """Largest by smallest suggestion of the same rule, over the rules: what other batches change."""
        pairs = [[one.suggestions[name] for one in self.useful] for name in self._rules]
        return max((max(rates) / min(rates) for rates in pairs), default=1.0)

    @property
    def _rules(self) -> list[str]:
        return list(self.useful[0].suggestions) if self.useful else []


def run(bench: Bench) -> ProbeResult:
    """Sweep twice, then try the own and the suggested rate."""
    if not bench.trainable():
        return not_applicable(
            "No parameter requires a gradient: there is nothing to learn at any rate."
        )
    own = bench.learning_rate()
    data = held(bench, 2 * STEPS)
    halves = (data[::2], data[1::2]) if len(data) > 1 else (data, data)
    count = _affordable(bench, halves[0])
    sweeps = []
    for number, half in enumerate(halves):
        before = number * count
        sweeps.append(
            sweep(bench, half, count, lambda i, b=before: bench.report(b + i + 1, 2 * count))  # type: ignore[misc]
        )
        if not bench.clock.allows(2 * SHARE):
            break
    whole = tuple(one for one in sweeps if not one.cut)
    if not whole:
        return not_applicable("There was no time for a whole sweep; --max-seconds allows more.")
    usable = tuple(one for one in whole if len(one.losses) > 2)
    found = Ranged(usable, own, None, None, len(data) < 2, _guess(bench, data[0]))
    trial = None if bench.clock.is_over else constant(bench, data, own, TRIAL)
    other = None
    if found.suggested is not None and not bench.clock.is_over:
        other = constant(bench, data, found.suggested, TRIAL)
    found = replace(found, own_trial=trial, suggested_trial=other)
    return conclude(bench, found, _figures(found), _tables(found))


def _guess(bench: Bench, batch: Any) -> float | None:
    import torch

    with torch.no_grad():
        logits = call.logits(bench.forward(batch))
    known = guess(logits, batches.labels(batch), bench.target.loss, bench.target.num_classes)
    return known.loss if known is not None else None


def _affordable(bench: Bench, data: list[object]) -> int:
    """Return the steps of a sweep that fit the time, by how long three of them take."""
    before = bench.clock.spent
    constant(bench, data, 0.0, 3)
    each = (bench.clock.spent - before) / 3
    return int(max(FEWEST, min(STEPS, SHARE * bench.clock.seconds / max(each, 1e-9))))


def _figures(found: Ranged) -> tuple[ProbeFigure, ...]:
    curves = []
    for number, one in enumerate(found.sweeps):
        top = 2 * max(one.level, one.smooth[0])
        shown = [(r, v) for r, v in zip(one.rates, one.smooth, strict=True) if v <= top or top <= 0]
        if shown:
            curves.append(
                Curve(f"sweep {number + 1}", [r for r, _ in shown], [v for _, v in shown])
            )
    places = {"own": found.own}
    if found.suggested is not None:
        places["suggested"] = found.suggested
    swept = ProbeFigure(
        "Loss at each learning rate", Drawn.LINE, tuple(curves), "learning rate", "loss",
        log_x=True, places=places,
    )  # fmt: skip
    tried = [t for t in (found.own_trial, found.suggested_trial) if t is not None and t.losses]
    trials = tuple(
        Curve(f"{one.rates[0]:.3g}", [float(i) for i in range(len(one.losses))], one.losses)
        for one in tried
    )
    held_still = ProbeFigure(
        "Loss at a learning rate that is held", Drawn.LINE, trials, "step", "loss"
    )
    return tuple(figure for figure in (swept, held_still) if figure.curves)


def _tables(found: Ranged) -> tuple[ProbeTable, ...]:
    rows = tuple(
        (f"sweep {number + 1}", *(f"{rate:.2g}" for rate in one.suggestions.values()))
        for number, one in enumerate(found.sweeps)
        if one.falls
    )
    columns = ("batches", "steepest", "valley", "minimum/10")
    return (ProbeTable("Learning rates by the usual rules", columns, rows),) if rows else ()


PROBE = Probe("lr", "At which learning rates does the loss fall?", run)
