"""The run is unstable in its first steps at the full rate, and there was little or no warmup.

What it does
------------
If a spike, a divergence, an explosion of the gradient, a loss that leaps to `leap` times its start, or a NaN
after a rise begins within the first `early` of the steps (or `first` steps), at no less than half of the peak
rate, and the warmup took less than `enough` of the steps, the warmup is too short. A loss that starts at
log(C), as a guess does, need only leap to `worse` times that within its first points: above log(C) it is
confidently wrong. A loss that stands `bump` times above its start (and log(C)) for three points within the
first `soon` of the steps, beyond `noise` standard deviations, is worth a note. So is a NaN after a plain
gradient step that promised to lower the loss by `overshoot` times itself (``lr * g^2``, stochastic gradient
descent): the second step cannot be better.

Why it matters
--------------
The largest gradients meet the worst estimates of their scale: some hundred small steps avoid it.

Not to be confused with
-----------------------
Instability that begins later. A leap of a single batch that the next one takes back (below `leap` squared),
or that is within `noise` standard deviations of the losses after it, or comes again and again. A run without
warmup that is calm: most small ones are.

Settings
--------
`early`, `first`, `most`, `points`, `enough`, `leap`, `worse`, `bump`, `soon`, `noise`, `overshoot`.

Fix
---
Warm up over 3 % of the steps.

References
----------
Goyal et al., "Accurate, Large Minibatch SGD" (2017). 3 % is enough for a fine-tune.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from loganalyze.detect import grad_explosion, loss_divergence, loss_nonfinite, loss_spike
from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import Run, Series, Where
from loganalyze.settings import setting
from loganalyze.signals.loss_kind import LossKind, chance, loss_kind
from loganalyze.signals.lr import warmup
from loganalyze.signals.robust import groups, noise_sigma
from loganalyze.signals.smooth import centered_median


@dataclass(frozen=True)
class ShortWarmupSettings:
    """Thresholds of the check."""

    early: float = setting(0.05, unit="share of the steps", source="the start of a run")
    first: int = setting(50, unit="steps", source="a warmup is some hundred steps")
    most: int = setting(
        300, unit="steps", source="later ones are not the first, however long the run"
    )
    points: int = setting(20, unit="log points", source="an excerpt may begin anywhere")
    enough: float = setting(0.03, unit="share of the steps", source="3 % is enough")
    leap: float = setting(
        4.0,
        unit="ratio to the first loss",
        source="as for a spike in a log too short for its noise",
    )
    worse: float = setting(
        1.2, unit="ratio to log(C)", source="batches of an untrained model differ by a few percent"
    )
    bump: float = setting(
        1.25, unit="ratio to the first losses", source="worse than at the start, for long"
    )
    soon: float = setting(
        0.17, unit="share of the steps", source="what a longest warmup would have covered"
    )
    noise: float = setting(5.0, unit="robust standard deviations", source="beyond chance")
    overshoot: float = setting(
        1.0, unit="ratio to the loss", source="no loss can fall by more than itself"
    )


ABSURD = 3.0  # a learning rate beyond it is too high after any warmup
ROSE = 1.5  # times the level before: a rise of the loss ahead of a NaN
SOON = 5  # log points; a slow rise is not one of the first steps' length
GUESS = 0.1  # relative distance to log(C) within which a run starts with a guess
AGAIN = 3  # times that single points are as high later: it is the noise of the batches
SAME_TIME = 2  # times the way to the leap
FEWEST = 4  # log points of the start
FEWEST_SOON = 50  # log points that tell a scatter
ALIKE = 0.75  # share of the leap's height
FULL = 0.5  # share of the peak rate from which an instability is that of the full rate
# Where each of them says that it began.
SIGNS = (
    (loss_nonfinite, "first_step"),
    (loss_divergence, "best_step"),
    (loss_spike, "step"),
    (grad_explosion, "first_step"),
)


@dataclass(frozen=True, slots=True)
class _Sign:
    """What broke, and where."""

    id: str
    step: int
    title: str
    where: tuple[Where, ...]
    until: float = 0.0  # the last step at which it counts as early; 0: as for all
    severity: Severity = Severity.WARNING


def detect(run: Run, settings: ShortWarmupSettings) -> Detected:
    """Look for an instability at the very start."""
    if loss_kind(run) in (LossKind.REINFORCEMENT, LossKind.ADVERSARIAL):
        return NotApplicable(f"jumps are ordinary for {loss_kind(run).value}")
    loss = run.series("train/loss")
    rate = _rate(run, loss)
    if not len(rate) or not len(loss):
        return NotApplicable("no learning rate was logged")
    if len(loss) < settings.points:
        return NotApplicable(f"{len(loss)} losses are too few, {settings.points} needed")
    if ABSURD < float(rate.value.max()) < np.inf:
        return NotApplicable(f"no warmup leads to a learning rate above {ABSURD:g}")
    total = run.planned_steps or int(loss.step[-1])
    found = warmup(run)
    length = found.steps if found is not None and found.steps else 0
    if length >= settings.enough * total:
        return ()
    last = min(max(settings.early * total, settings.first), settings.most)
    for sign in (*_signs(run, loss.finite(), last, settings), *_notes(run, loss, total, settings)):
        at = rate.value_at(sign.step)
        if (
            sign.step <= max(last, sign.until)
            and at is not None
            and at >= FULL * float(rate.value.max())
        ):
            return (_finding(length, total, at, sign),)
    return ()


def _rate(run: Run, loss: Series) -> Series:
    """Return the recorded rate; where there is none and the settings know no warmup, the rate that is set."""
    rate = run.series("train/learning_rate").finite()
    told = [run.number(name) for name in ("warmup_ratio", "warmup_steps")]
    target = run.number("learning_rate")
    if len(rate) or not any(t == 0 for t in told) or any(told):
        return rate
    # Without a warmup the rate is full from the first step on, however high that is.
    return loss.measuring("train/learning_rate", np.full(len(loss), target or np.inf))


def _signs(run: Run, loss: Series, last: float, settings: ShortWarmupSettings) -> Iterator[_Sign]:
    """Give what broke, the gravest first."""
    for module, name in SIGNS:
        result = module.DETECTOR.found(run, module.DETECTOR.settings())
        if isinstance(result, NotApplicable) or not result or result[0].severity is Severity.INFO:
            continue
        found = result[0]
        if module is loss_nonfinite and not _grew(run, found):
            continue  # a NaN out of nothing is no step that was too long
        step = found.evidence.get(name)
        if isinstance(step, (int, float)):
            title = found.title[0].lower() + found.title[1:]
            yield _Sign(found.id, int(step), title, found.where[:1])
    start = loss.take(loss.step <= last)
    if len(start) < 2 or start.value.min() <= 0 or loss_kind(run) is LossKind.UNBOUNDED:
        return
    for part, ratio in _leaps(run, start, settings):
        top = int(np.argmax(part.value))
        if part.value[top] > ratio * part.value[0] and _is_episode(loss, top, ratio, settings):
            title = f"the loss leaps from {part.value[0]:.4g} to {part.value[top]:.4g}"
            yield _Sign("leap", int(part.step[top]), title, (part.where(top),))
            return


def _notes(run: Run, loss: Series, total: int, settings: ShortWarmupSettings) -> Iterator[_Sign]:
    """Give what is worth a note: a start that got worse for a while, a first step far too long."""
    if loss_kind(run) is LossKind.UNBOUNDED:
        return
    finite = loss.finite()
    if len(finite) and _overshoots(run, loss, settings):
        step = int(loss.step[np.isfinite(loss.value).argmin()])
        title = "the loss is no number, after a step far longer than the gradient allows"
        yield _Sign("overshoot", step, title, (finite.where(0),), severity=Severity.INFO)
    until = settings.soon * total
    start = finite.take(finite.step <= until)
    if len(start) < FEWEST or start.value.min() <= 0:
        return
    guess = chance(run)
    smooth = centered_median(start.value, 3)
    top = int(np.argmax(smooth))
    if not top:
        return  # it falls from its first point
    # What stands before the rise is the level: medians of more would hold the rise itself.
    rises = int(np.argmax(start.value > np.sqrt(settings.bump) * start.value[0]))
    before = float(np.median(start.value[: max(min(rises, top, SOON), 1)]))
    before = max(before, guess.log_c if guess is not None else 0.0)
    # The noise of the batches is that of the time after, a share of the level.
    later = finite.value[finite.step > until]
    scatter = noise_sigma(np.log(later[later > 0])) if len(later) >= SOON else np.inf
    beyond = np.log(smooth[top] / before) > settings.noise * scatter
    if smooth[top] > settings.bump * before and beyond:
        title = f"the loss rises from {before:.4g} to {smooth[top]:.4g}"
        step = int(start.step[top])
        yield _Sign("bump", step, title, (start.where(top),), until, Severity.INFO)


def _overshoots(run: Run, loss: Series, settings: ShortWarmupSettings) -> bool:
    """Tell whether the loss is no number right after plain gradient steps that were far too long."""
    optimizer = run.setting("optimizer")
    norm = run.series("train/grad_norm").finite()
    if optimizer is None or "sgd" not in str(optimizer.value).lower() or not len(norm):
        return False
    first = int(np.isfinite(loss.value).argmin())
    if np.isfinite(loss.value[first]) or not 0 < first <= SOON or loss.value[0] <= 0:
        return False
    rate = run.series("train/learning_rate").value_at(int(loss.step[0]))
    limit = run.number("max_grad_norm") or np.inf
    if rate is None or not np.isfinite(rate):
        return False
    promised = rate * float(norm.value[0]) * min(float(norm.value[0]), limit)
    return promised > settings.overshoot * float(loss.value[0])


def _leaps(
    run: Run, start: Series, settings: ShortWarmupSettings
) -> Iterator[tuple[Series, float]]:
    """Give the parts of the start to look at, with the ratio to their first loss that is a leap."""
    yield start, settings.leap
    guess = chance(run)
    if guess is not None and abs(start.value[0] / guess.log_c - 1) < GUESS:
        yield start.take(slice(0, SOON)), settings.worse


def _is_episode(loss: Series, top: int, ratio: float, settings: ShortWarmupSettings) -> bool:
    """Tell whether a leap lasts, and is beyond what single batches of the same time reach."""
    first, highest = float(loss.value[0]), float(loss.value[top])
    if top == len(loss) - 1 or ratio < settings.leap:
        return True  # nothing takes it back; or it is worse than a guess, as no batch is by itself
    beside = max(loss.value[max(top - 1, 0)], loss.value[top + 1])
    high = np.sqrt(ratio) * first
    if beside < high and highest < ratio**2 * first:
        return False  # one batch, which the next one takes back; none is that much harder
    after = loss.value[top + 2 :]
    again = groups(after > ALIKE * highest)
    if len(again) >= AGAIN and all(end <= begin + 1 for begin, end in again):
        return False
    soon = after[: max(SAME_TIME * top, FEWEST_SOON)]
    scatter = noise_sigma(np.log(soon[soon > 0]))
    return bool(np.log(highest / first) > settings.noise * scatter)


def _grew(run: Run, nonfinite: Finding) -> bool:
    """Tell whether the loss grew until it was no number: a squared error is infinite no other way."""
    rise = nonfinite.evidence.get("rise_before", 0.0)
    if isinstance(rise, float) and rise >= ROSE:
        return True
    infinite = nonfinite.evidence.get("first_value") == "Infinity"
    return infinite and loss_kind(run) is LossKind.REGRESSION


def _finding(length: int, total: int, rate: float, sign: _Sign) -> Finding:
    wanted = max(round(0.03 * total), 5 * length, 100)
    before = f"a warmup of {length:,} steps" if length else "no warmup"
    at_rate = f"at a rate of {rate:.3g} and " if np.isfinite(rate) else ""
    return Finding(
        id="warmup-too-short",
        severity=sign.severity,
        confidence=0.6 if sign.severity is Severity.WARNING else 0.4,
        title=f"The run breaks at step {sign.step:,}, after {before}",
        summary=(f"At step {sign.step:,} of {total:,}, {at_rate}after {before}: {sign.title}."),
        steps=(0, sign.step),
        metrics=("train/learning_rate", "train/loss"),
        evidence={
            "step": sign.step,
            "warmup_steps": length,
            "total_steps": total,
            **({"lr": rate} if np.isfinite(rate) else {}),
            "sign": sign.id,
        },
        where=sign.where,
        fix=(f"warmup_steps {length} -> {wanted}",),
    )


DETECTOR = Detector(
    id="warmup-too-short",
    group="warmup_short",
    passed="The first steps at the full rate are calm",
    failed="The run is unstable in its first steps at the full rate",
    requires=("train/loss",),
    settings=ShortWarmupSettings,
    detect=detect,
)
