"""What a curve shows, by written criteria that may use what only the maker of the run knows.

Each criterion looks at the numbers that were logged and at what a log's reader does not have: the
run's healthy twin (same task, same seed, no fault), which tells how far the loss can fall and how
noisy it is, and the facts of the injection. It answers CLEAR (whoever looks at the log must say so),
FAINT (saying so is no mistake, keeping silent is none either) or ABSENT. Nothing here is shared
with the detectors that are scored.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
ABSENT, FAINT, CLEAR = 0, 1, 2


@dataclass(frozen=True)
class Trace:
    """What a run logged, and what its maker knows of it."""

    points: list[dict[str, Any]]
    facts: dict[str, Any]

    def column(self, name: str, kind: str = "train") -> Array:
        values = [p.get(name) for p in self.points if p["kind"] == kind]
        return np.array([math.nan if v is None else float(v) for v in values], dtype=float)

    def logged(self, name: str) -> bool:
        return any(name in p for p in self.points if p["kind"] == "train")

    @cached_property
    def loss(self) -> Array:
        return self.column("loss")

    @cached_property
    def finite(self) -> Array:
        """The losses up to the first that is not finite."""
        bad = np.flatnonzero(~np.isfinite(self.loss))
        return self.loss[: bad[0]] if len(bad) else self.loss

    @cached_property
    def norm(self) -> Array:
        return self.column("grad_norm") if self.logged("grad_norm") else np.array([])

    @property
    def start(self) -> float:
        return float(np.median(self.finite[:3])) if len(self.finite) else math.nan

    @property
    def end(self) -> float:
        return quarter(self.finite, 3) if len(self.finite) else math.nan

    @property
    def fall(self) -> float:
        return self.start - self.end

    @property
    def noise(self) -> float:
        """The scatter from one logged loss to the next in the second half."""
        late = self.finite[len(self.finite) // 2 :]
        return robust(np.diff(late)) / math.sqrt(2) if len(late) > 3 else 0.0

    @property
    def through(self) -> float:
        """How much of what was planned was run."""
        return self.points[-1]["step"] / self.facts["steps"] if self.points else 0.0

    @property
    def cross_entropy(self) -> bool:
        return self.facts["kind"] in ("classification", "language")


def robust(values: Array) -> float:
    return 1.4826 * float(np.median(np.abs(values - np.median(values)))) if len(values) else 0.0


def quarter(values: Array, which: int) -> float:
    parts = [part for part in np.array_split(values, 4) if len(part)]
    return float(np.median(parts[min(which, len(parts) - 1)]))


def longest(flags: Any) -> int:
    """Return the length of the longest run of true flags."""
    best = now = 0
    for flag in flags:
        now = now + 1 if flag else 0
        best = max(best, now)
    return best


Criterion = Callable[[Trace, Trace], int]


def initial_loss_high(run: Trace, twin: Trace) -> int:
    """Cross-entropy: the first loss, and the first three, are 1.3 times log(C) and 1.25 times the twin's.
    Faint: 1.15 times log(C)."""
    if not run.cross_entropy or not len(run.finite) or run.points[0]["step"] > 10:
        return ABSENT
    first = min(run.start, float(run.finite[0]))
    ratio = first / run.facts["chance"]
    clear = ratio > 1.3 and first > 1.25 * twin.start
    return CLEAR if clear else FAINT if ratio > 1.15 else ABSENT


def loss_nonfinite(run: Trace, twin: Trace) -> int:
    """A logged train loss is NaN or infinite."""
    return CLEAR if not np.isfinite(run.loss).all() else ABSENT


def loss_zero(run: Trace, twin: Trace) -> int:
    """Exactly 0 at three points in a row, where the twin is not near 0. Faint: a loss for which 0 says
    nothing, as in reinforcement learning."""
    zeros = longest(run.loss == 0) >= 3
    may_be_zero = run.facts["kind"] == "other" or twin.end <= 0.02
    return ABSENT if not zeros else FAINT if may_be_zero else CLEAR


def loss_spike(run: Trace, twin: Trace) -> int:
    """A point (or up to three) 2.5 times the median of the ten before, 1.5 times the highest of them, 15
    deviations above it and six times what four points of five around it deviate, gone after ten points at
    most. Faint: 1.3 times and 6 deviations, or the first tenth of the run. Ten points alone know too little
    of heavy tails: what a run does all the time is its noise."""
    loss, verdict = run.loss, ABSENT
    for i in range(5, len(loss) - 4):
        before = loss[max(i - 10, 0) : i]
        after = loss[i + 4 : i + 11]
        if not np.isfinite(before).all() or not np.isfinite(loss[i]):
            continue
        level = float(np.median(before))
        scale = max(robust(before), twin.noise, 1e-3 * abs(level), 1e-12)
        back = np.isfinite(after).any() and np.nanmedian(after) < level + 0.3 * (loss[i] - level)
        if not back or level <= 0:
            continue
        if loss[i] > 2.5 * level and loss[i] - level > 15 * scale and i > 0.1 * len(loss):
            around = loss[max(i - 30, 0) : i + 31]
            usual = np.nanpercentile(np.abs(around - np.nanmedian(around)), 80)
            habit = loss[i] < 1.5 * before.max() or loss[i] - level < 6 * usual
            floor = 0.15 * twin.start  # below it a healthy loss has such peaks, too
            resumed = run.facts.get("restarted_at") is not None
            if loss[i] > floor + 3 * max(twin.end, level) and not resumed and not habit:
                return CLEAR
            verdict = FAINT
        if loss[i] > 1.3 * level and loss[i] - level > 6 * scale:
            verdict = FAINT
    return verdict


def loss_divergence(run: Trace, twin: Trace) -> int:
    """The end lies above the best level by more than half of what was gained, and by 8 deviations;
    or above twice the start. Before a NaN: the last finite points do, the very last one if it is four times
    all before (there is no time for more). Faint: a fifth, 4 deviations; or it
    was above twice the start and came back; or a loss that is no error is ten times the twin's largest; or
    a cross-entropy fell below 0 without end; or it rose where the run was restarted; or fewer than four
    points."""
    loss = run.finite
    ends_in_nan = len(loss) < len(run.loss)
    if len(loss) > 1 and ends_in_nan and loss[-1] > 4 * loss[:-1].max():
        return CLEAR if len(loss) >= 4 and run.facts["kind"] != "other" else FAINT
    if len(loss) < 4:
        return ABSENT
    tail = max(len(loss) // 10, 2) if len(loss) == len(run.loss) else 2
    smooth = trailing(loss)
    best, end = float(smooth.min()), float(np.median(loss[-tail:]))
    if run.facts["kind"] == "other":
        return FAINT if loss.max() > 10 * twin.loss.max() else ABSENT
    if run.cross_entropy and end < -1:
        return FAINT
    if end > 2 * abs(run.start) and end > 10 * twin.noise + run.start:
        return CLEAR
    if run.facts.get("restarted_at") is not None:
        return FAINT if end > best + max(0.2 * (run.start - best), 4 * twin.noise) else ABSENT
    rise, gained = end - best, max(run.start - best, 0.0)
    scale = max(twin.noise, run.noise)
    if rise > max(0.5 * gained, 8 * scale) and end > best + 0.3 * abs(best):
        return CLEAR
    went_up = smooth.max() > 2 * abs(run.start)
    return FAINT if went_up or rise > max(0.2 * gained, 4 * scale, 0.02 * abs(best)) else ABSENT


RAN_AWAY = ("loss-divergence", "loss-spike", "loss-oscillation", "grad-explosion")


def ran_away(run: Trace, twin: Trace) -> bool:
    """The smoothed loss was above twice its start, and twice all that the twin's ever was, for a twentieth of
    the run, whatever came then. A batch of four squared errors differs from the next by as much.

    No finding has this for its definition: where the rate's decay brings the loss back, it neither ends
    high nor is gone after a few points. Yet nobody would keep silent; which of `RAN_AWAY` is said is a matter
    of taste, and so is whether the way back is called slow.
    """
    if run.facts["kind"] == "other" or len(run.finite) < 10 or run.start <= 0:
        return False
    smooth = trailing(run.finite)[3:]  # the first ones are the start, and may fall at once
    start = min(run.start, float(run.finite[0]))
    usual = run.facts.get("times", 1) * trailing(twin.finite).max()
    return float(np.mean(smooth > 2 * max(start, usual))) > 0.05


def trailing(loss: Array) -> Array:
    """Return the running median over a twentieth of a run."""
    window = max(len(loss) // 20, 1)
    return np.array([np.median(loss[max(i - window, 0) : i + 1]) for i in range(len(loss))])


COMES_ROUND = ("loss-spike", "loss-oscillation", "epoch-sawtooth")


def comes_round(run: Trace) -> bool:
    """In the second half the ups and downs of an epoch are those of the epoch before (rank correlation
    above 0.7).

    Rows in a fixed order: the swing is clear, its name (a spike an epoch, an oscillation, a sawtooth) is a
    matter of taste, and a level that depends on the place in the epoch cannot be called a plateau or slow.
    """
    length = run.facts["epoch_steps"]
    rows = [p for p in run.points if p["kind"] == "train" and math.isfinite(p["loss"] or 0.0)]
    late = {p["step"]: p["loss"] for p in rows[len(rows) // 2 :]}
    steps = [step for step in late if step + length in late]
    if len(steps) < 12 or run.facts["kind"] == "other":
        return False
    now = np.diff([late[step] for step in steps]).argsort().argsort()
    then = np.diff([late[step + length] for step in steps]).argsort().argsort()
    return float(np.corrcoef(now, then)[0, 1]) > 0.7


def stands_still(run: Trace, twin: Trace, share: float = 0.04) -> bool:
    """Second and fourth quarter differ by less than a share of the twin's fall, or by what noise explains; or
    all evaluations are one number."""
    if len(run.finite) < 8 or len(run.finite) < 0.6 * len(run.loss) or run.through < 0.3:
        return False
    held = run.column("loss", "eval")
    if len(held) > 2 and np.ptp(held) < 1e-4 * abs(float(held[0])):
        return True
    change = abs(quarter(run.finite, 1) - quarter(run.finite, 3))
    unresolved = 3 * run.noise / math.sqrt(len(run.finite) / 4)
    return change < max(share * run.facts.get("times", 1) * twin.fall, unresolved)


def gained_little(run: Trace, twin: Trace, share: float) -> bool:
    """The loss fell by less than `share` of what the twin's did; the twin's own level counts too, and so does
    the first loss alone, where the second is already far below it."""
    times = run.facts.get("times", 1)  # a sum over so many micro-batches is logged
    start = max(run.start, float(run.finite[0]))
    return min(start, times * twin.start) - run.end < share * times * twin.fall


def learns_too_little(run: Trace, twin: Trace) -> str:
    """Return what to call a run that gained a quarter of the twin's fall at most (or "").

    Near log(C) it is at chance; elsewhere, unless it fell by half of its own start (or of its first loss; a
    regression, whose scale nobody knows, by a third), it is a plateau if it stands still to within 0.5 % of
    the twin's fall or the noise, and slow if it still falls by more than 4 %. What lies between may be
    called either, and so may what the noise hides, and so may a run that never left its start: no progress
    from the first step on is a plateau and the slowest of convergences. A loss that rises in the end is
    none of these.
    """
    ended_early = run.through < 0.3 or len(run.finite) < max(8, 0.8 * len(run.loss))
    if run.facts["kind"] == "other" or run.facts.get("restarted_at") is not None:
        return ""  # what was gained before a restart and what after it are two questions
    if ended_early or not gained_little(run, twin, 0.25) or loss_divergence(run, twin) == CLEAR:
        return ""
    if lr_zero(run, twin) == CLEAR or loss_zero(run, twin) == CLEAR:
        return ""
    near_chance = False
    if run.cross_entropy and twin.end < 0.75 * run.facts["chance"]:
        late = float(np.median(run.finite[len(run.finite) // 2 :]))
        near_chance = abs(late / run.facts["chance"] - 1) < 0.04 * run.facts.get("times", 1)
    if quarter(run.finite, 3) > quarter(run.finite, 1) + 3 * run.noise:
        return ""
    rises = quarter(run.finite, 3) > quarter(run.finite, 1)
    start = max(run.start, float(run.finite[0]))
    enough = 0.5 if run.cross_entropy else 0.33
    if not near_chance and start - run.end > enough * abs(start):
        return ""
    if stands_still(run, twin, 0.005):
        never_left = run.fall < 0.1 * abs(run.start)
        change = abs(quarter(run.finite, 1) - quarter(run.finite, 3))
        hidden = (
            change > 0.005 * run.facts.get("times", 1) * twin.fall
        )  # a fall may be, in the noise
        flat = "loss-plateau|slow-convergence" if never_left or hidden else "loss-plateau"
        return "loss-at-chance" if near_chance else flat
    if near_chance:
        return "loss-at-chance|slow-convergence"
    if rises and not stands_still(run, twin):
        return ""
    return "loss-plateau|slow-convergence" if stands_still(run, twin) else "slow-convergence"


def may_be_called_so(run: Trace, twin: Trace) -> list[str]:
    """Return what may be said of a run that gained less than 70 % of the twin's fall."""
    if len(run.finite) < 4 or not gained_little(run, twin, 0.7):
        return []
    late = float(np.median(run.finite[len(run.finite) // 2 :]))
    at_chance = run.cross_entropy and abs(late / run.facts["chance"] - 1) < 0.1
    return ["loss-plateau", "slow-convergence", *(["loss-at-chance"] if at_chance else [])]


def loss_oscillation(run: Trace, twin: Trace) -> int:
    """In the last three fifths, and in either half of them (a fall or a step is no swing), the spread
    (5..95 %) exceeds the median and 8 times the twin's, and is twice
    the twin's in shares of the level, which does not drift. Faint: 0.6 and 4 times, and it may drift; or the
    course repeats itself with each epoch."""
    late, other = run.finite[2 * len(run.finite) // 5 :], twin.finite[2 * len(twin.finite) // 5 :]
    if len(late) < 10 or len(run.finite) < 0.8 * len(run.loss):
        return ABSENT
    spread = float(np.subtract(*np.percentile(late, [95, 5])))
    usual = float(np.subtract(*np.percentile(other, [95, 5])))
    level = abs(float(np.median(late)))
    halves = np.array_split(late, 2)
    drift = abs(float(np.median(halves[0]) - np.median(halves[1])))
    relative = spread * abs(float(np.median(other))) > 2 * usual * level
    steady = drift < 0.4 * spread and level > 0.1 * twin.start
    swings = (
        min(float(np.subtract(*np.percentile(half, [95, 5]))) for half in halves) > 0.5 * spread
    )
    if (
        run.facts["kind"] != "other"
        and run.facts.get("restarted_at") is None  # what was lost, and learned again
        and swings
        and spread > level
        and spread > 8 * usual
        and relative
        and steady
    ):
        return CLEAR
    if repeats_by_epoch(run):
        return FAINT
    return FAINT if spread > 0.6 * level and spread > 4 * usual and relative else ABSENT


def repeats_by_epoch(run: Trace) -> bool:
    """Three epochs or more whose courses, in twelve parts, less their means, correlate by 0.6 with the next
    (the median), are no ramps, and move by 3 % of the level and 1.5 times as much as neighbours differ."""
    length = run.facts["epoch_steps"]
    points = [(p["step"] - 1, v) for p, v in zip(_train(run), run.loss, strict=True)]
    epochs = [
        [v for step, v in points if step // length == e] for e in range(points[-1][0] // length)
    ]
    whole = [np.array(part) for part in epochs if len(part) >= 12 and np.isfinite(part).all()]
    if len(whole) < 3:
        return False
    courses = np.array([[q.mean() for q in np.array_split(part, 12)] for part in whole])
    courses -= courses.mean(axis=1, keepdims=True)
    alike = np.median([np.corrcoef(a, b)[0, 1] for a, b in itertools.pairwise(courses)])
    mean = np.median(courses, axis=0)
    ramp = abs(np.corrcoef(mean, np.arange(12))[0, 1]) > 0.85
    steady = mean.std() > 1.5 * robust(np.diff(mean)) / math.sqrt(2)
    return bool(alike > 0.6 and not ramp and steady and mean.std() > 0.03 * abs(run.end))


def _train(run: Trace) -> list[dict[str, Any]]:
    return [p for p in run.points if p["kind"] == "train"]


def epoch_sawtooth(run: Trace, twin: Trace) -> int:
    """Two epoch borders at least, whose steps make up 80 % of the fall, the first two clear of the noise and
    twice what the loss falls inside the epochs beside them, as are most of the others: in a curve that bends
    a border is nothing. A course that repeats with each epoch is a swing. Faint: half of the fall."""
    length = run.facts["epoch_steps"]
    epochs = np.array([(p["step"] - 1) // length for p in run.points if p["kind"] == "train"])
    parts = [run.loss[epochs == e] for e in np.unique(epochs)]
    parts = [part for part in parts if len(part) >= 6 and np.isfinite(part).all()]
    if len(parts) < 3 or "restarted_at" in run.facts:
        return ABSENT
    third = [np.array_split(part, 3) for part in parts]
    drops = [np.median(a[2]) - np.median(b[0]) for a, b in itertools.pairwise(third)]
    whole = np.median(parts[0]) - np.median(parts[-1])
    scale = robust(np.diff(parts[0])) / math.sqrt(len(third[0][0]))
    if whole < 0.1 * run.start or drops[0] < 4 * scale:
        return ABSENT
    share = (
        sum(drops) / whole
    )  # rises too: over many short epochs the noise of the falls alone adds up
    falls = [np.median(part[0]) - np.median(part[2]) for part in third]
    steep = [
        drop > 2 * max(a, b, 0)
        for drop, (a, b) in zip(drops, itertools.pairwise(falls), strict=True)
    ]
    clear = share > 0.8 and drops[1] > 4 * scale and all(steep[1:2]) and np.mean(steep) > 0.6
    if clear and not repeats_by_epoch(run):
        return CLEAR
    return FAINT if share > 0.5 else ABSENT


def loss_repeats(run: Trace, twin: Trace) -> int:
    """The losses of an epoch are those of the one before, to four digits."""
    length = run.facts["epoch_steps"]
    rows = [p for p in run.points if p["kind"] == "train" and p["loss"] is not None]
    by_step = {p["step"]: f"{p['loss']:.4g}" for p in rows if math.isfinite(p["loss"])}
    pairs = [(v, by_step[s + length]) for s, v in by_step.items() if s + length in by_step]
    if len(pairs) < 8 or len({a for a, _ in pairs}) < 5:
        return ABSENT
    return CLEAR if sum(a == b for a, b in pairs) > 0.95 * len(pairs) else ABSENT


def loss_jump_on_resume(run: Trace, twin: Trace) -> int:
    """After the restart the loss is 15 % and 6 deviations higher than before it. Faint: 3 deviations."""
    at = run.facts.get("restarted_at")
    if at is None:
        return ABSENT
    rows = [p for p in run.points if p["kind"] == "train"]
    after = next((i for i, p in enumerate(rows) if i and p["step"] <= rows[i - 1]["step"]), None)
    if after is None:
        after = next(i for i, p in enumerate(rows) if p["step"] > at)
    before = run.loss[max(after - 10, 0) : after]
    level, jump = float(np.median(before)), float(np.median(run.loss[after : after + 3]))
    scale = max(robust(before), 1e-9)
    if jump - level > max(6 * scale, 0.15 * abs(level)):
        return CLEAR
    return FAINT if jump - level > 3 * scale else ABSENT


def overfit_gap(run: Trace, twin: Trace) -> int:
    """The last evaluations lie 15 % above the best (and 5 % of the twin's start), three or more after it,
    while the train loss fell on. Faint: 4 %, or the run diverged: its evaluations go up and down with it."""
    held, train = run.column("loss", "eval"), run.finite
    if len(held) < 4 or not np.isfinite(held).all() or len(train) < 8:
        return ABSENT
    best = int(held.argmin())
    place = min(int(len(train) * (best + 1) / len(held)), len(train) - 2)
    fell = np.median(train[-max(len(train) // 10, 2) :]) < np.median(
        train[max(place - 3, 0) : place + 3]
    )
    if not fell:
        return ABSENT
    rise = float(np.median(held[-2:])) / held[best] - 1
    far = held[best] * rise > 0.05 * twin.start
    if rise > 0.15 and far and len(held) - 1 - best >= 3 and loss_divergence(run, twin) != CLEAR:
        return CLEAR
    return FAINT if rise > 0.04 else ABSENT


def eval_nonfinite(run: Trace, twin: Trace) -> int:
    """An evaluation's loss is NaN or infinite."""
    held = run.column("loss", "eval")
    return CLEAR if len(held) and not np.isfinite(held).all() else ABSENT


def eval_at_chance(run: Trace, twin: Trace) -> int:
    """Train learns (below 0.75 log C, and is right twice as often as a guess where that is logged); late
    evaluations' accuracies are 1/C within 3 deviations, or, of a language model, all their losses 0.95 to
    1.1 log(C) (overfitting alone may lead there, but not begin there). A loss below 0 does not tell.
    Faint: train is below 0.95 log C; within 6 deviations; the losses 0.9 to 1.25."""
    chance = run.facts["chance"]
    if not run.cross_entropy or not len(run.finite) or run.end > 0.95 * chance:
        return ABSENT
    if not np.isfinite(run.column("accuracy", "eval")).any():
        held = run.column("loss", "eval") / chance
        if len(held) < 2 or not np.isfinite(held).all() or held.min() < 0.9 or held.max() > 1.25:
            return ABSENT
        near = held.min() > 0.95 and held.max() < 1.1
        return CLEAR if near and run.end < 0.75 * chance else FAINT
    if run.end < 0 and not run.logged("accuracy"):
        return ABSENT  # no cross-entropy: its fall does not tell that anything was learned
    right = run.column("accuracy", "eval")
    late = right[len(right) // 2 :]
    guess = 1 / run.facts["classes"]
    allowed = 3 * math.sqrt(guess * (1 - guess) / run.facts["eval_count"])
    if len(late) < 2 or not np.isfinite(late).all() or eval_nonfinite(run, twin):
        return ABSENT
    if run.logged("accuracy") and quarter(run.column("accuracy"), 3) < 2 * guess:
        return ABSENT
    off = float(np.abs(late - guess).max())
    if off < allowed and run.end < 0.75 * chance:
        return CLEAR
    return FAINT if off < 2 * allowed else ABSENT


def eval_below_train(run: Trace, twin: Trace) -> int:
    """Over the second half evaluations lie below 0.55 of the train loss (nobody sees in a log that
    less is not dropout's), and the twin's do not. Faint: below 0.9."""
    ratio, usual = _eval_ratio(run), _eval_ratio(twin)
    if ratio is None or usual is None:
        return ABSENT
    return CLEAR if ratio < 0.55 and usual > 0.9 else FAINT if ratio < 0.9 else ABSENT


def _eval_ratio(run: Trace) -> float | None:
    held = run.column("loss", "eval")
    if len(held) < 3 or len(run.finite) < 8 or len(run.finite) < len(run.loss):
        return None
    steps = np.array([p["step"] for p in run.points if p["kind"] == "train"])
    at = [p["step"] for p in run.points if p["kind"] == "eval"]
    near = [np.median(run.loss[np.argsort(np.abs(steps - step))[:9]]) for step in at]
    ratios = held / np.array(near)
    return float(np.median(ratios[len(ratios) // 2 :]))


def grad_explosion(run: Trace, twin: Trace) -> int:
    """Three norms or more above 20 times their median so far and 5 times the twin's largest; or a fifth
    of them above 100 and 50 times the twin's median, unless a sum is logged, whose norm is large from the
    start. Faint: one of them, 5 times."""
    norm = run.norm[np.isfinite(run.norm)]
    usual = twin.norm[np.isfinite(twin.norm)]
    if len(norm) < 5 or not len(usual):
        return ABSENT
    above = [
        norm[i] > 20 * np.median(norm[:i]) and norm[i] > 5 * usual.max()
        for i in range(3, len(norm))
    ]
    large = np.mean((norm > 100) & (norm > 50 * np.median(usual))) > 0.2
    if sum(above) >= 3 or (large and "times" not in run.facts):
        return CLEAR
    once = any(norm[i] > 5 * np.median(norm[max(i - 30, 0) : i]) for i in range(3, len(norm)))
    return FAINT if once or norm.max() > 100 else ABSENT


def grad_vanishing(run: Trace, twin: Trace) -> int:
    """The norm ends below a thousandth of its start (or 1e-6), and a hundredth of the twin's, though the loss
    gained less than half of what the twin gains. Faint: a twentieth of its start."""
    norm = run.norm[np.isfinite(run.norm)]
    if len(norm) < 8 or not np.any(norm > 0):
        return ABSENT
    first, last = float(np.median(norm[:5])), quarter(norm, 3)
    if len(run.finite) < 8 or not gained_little(run, twin, 0.5) or last == 0:
        return ABSENT
    clear = last < max(1e-3 * first, 1e-6) and last < 0.01 * np.median(twin.norm)
    return CLEAR if clear else FAINT if last < 0.05 * first else ABSENT


def grad_zero(run: Trace, twin: Trace) -> int:
    """Exactly 0 at three points in a row."""
    return CLEAR if longest(run.norm == 0) >= 3 else ABSENT


def grad_nonfinite(run: Trace, twin: Trace) -> int:
    """NaN or infinite at any point."""
    return CLEAR if len(run.norm) and not np.isfinite(run.norm).all() else ABSENT


def grad_constant(run: Trace, twin: Trace) -> int:
    """Nine norms of ten are one number. Faint, where it is logged after clipping."""
    norm = run.norm[np.isfinite(run.norm)]
    if len(norm) < 10 or not np.median(norm):
        return ABSENT
    same = float(np.mean(np.abs(norm / np.median(norm) - 1) < 1e-4))
    if same < 0.9:
        return ABSENT
    return FAINT if run.facts.get("norm_after_clip") else CLEAR


def clip_saturated(run: Trace, twin: Trace) -> int:
    """Nine steps of ten are clipped, to less than a tenth. Faint: half of them are."""
    clip, norm = run.facts.get("clip"), run.norm[np.isfinite(run.norm)]
    if not clip or len(norm) < 5 or run.facts.get("norm_after_clip"):
        return ABSENT
    share = float(np.mean(norm > clip))
    kept = float(np.median(clip / np.maximum(norm, 1e-30)))
    return CLEAR if share > 0.9 and kept < 0.1 else FAINT if share > 0.5 else ABSENT


def warmup_too_long(run: Trace, twin: Trace) -> int:
    """The warmup takes 30 % of the planned steps, a tenth of which were run. Faint: 12 %."""
    if run.points and run.points[-1]["step"] < 0.1 * run.facts["steps"]:
        return ABSENT
    share = run.facts["warmup"]
    return CLEAR if share >= 0.3 else FAINT if share > 0.12 else ABSENT


def warmup_too_short(run: Trace, twin: Trace) -> int:
    """A warmup under 2 %, and in the first sixth of the run a loss that stays NaN, or twice its start at two
    points in a row, or 1.25 times it over three (a single batch may be as odd), where the twin's is not.
    Faint: the run goes wrong at all; a warmup under 3 %; it comes back, and goes half as wrong later; a NaN
    before which nothing rose."""
    if run.facts["warmup"] >= 0.03 or run.facts["kind"] == "other":
        return ABSENT
    early = run.loss[1 : max(len(run.loss) // 6, 4)]
    usual = twin.loss[1 : max(len(twin.loss) // 6, 4)]
    if not len(early) or not len(usual):
        return ABSENT
    # Neither a loss that was never a number nor a row that a guard leaves out is an instability.
    broken = np.isfinite(run.loss[0]) and not np.isfinite(early[-3:]).any()
    start = max(float(run.loss[0]), float(usual.max()))
    pairs = [float(early[i : i + 2].min()) for i in range(len(early) - 1)]
    three = [float(np.median(early[i : i + 3])) for i in range(len(early) - 2)]
    bad = broken or np.nanmax([0.0, *pairs]) > 2 * start or np.nanmax([0.0, *three]) > 1.25 * start
    if bad:
        between, later = run.loss[len(early) : len(run.loss) // 2], run.loss[len(run.loss) // 2 :]
        came_back = float(np.median(between)) < start
        all_along = came_back and np.nanmax(later) > 0.5 * np.nanmax(early)  # odd rows, or any rate
        no_sign = broken and float(run.finite.max()) < 1.25 * start  # a row may hold no number
        clear = run.facts["warmup"] < 0.02 and not all_along and not no_sign
        return CLEAR if clear else FAINT
    wrong = loss_divergence(run, twin) or learns_too_little(run, twin)
    return FAINT if wrong or early.max() > 1.25 * run.loss[0] else ABSENT


def lr_zero(run: Trace, twin: Trace) -> int:
    """The rate is below a thousandth of its peak over the last sixth of the run, or more. Faint: 4 %."""
    rate = run.column("lr")
    if not (rate > 0).any():
        return ABSENT
    dead = rate <= 1e-3 * np.nanmax(rate)
    tail = len(dead) if dead.all() else int(np.argmin(dead[::-1]))
    return CLEAR if tail > len(dead) / 6 else FAINT if tail > 0.04 * len(dead) else ABSENT


def lr_schedule_anomaly(run: Trace, twin: Trace) -> int:
    """The schedule began anew where the run only went on, and the rate is logged. Faint: it ended long before
    the run."""
    if run.facts.get("schedule_reset_at") is not None and run.logged("lr"):
        return CLEAR
    return FAINT if lr_zero(run, twin) else ABSENT


def throughput_drop(run: Trace, twin: Trace) -> int:
    """The loader slowed down for good, and logged step times show it: 1.5 times as long. Faint: they show it
    of a run that was not slowed down (others used the machine)."""
    at = run.facts.get("slow_from")
    if at is None or not run.logged("step_time"):
        took = run.column("step_time") if run.logged("step_time") else np.array([])
        slower = len(took) > 10 and quarter(took, 3) > 1.5 * quarter(took, 0)
        return FAINT if run.facts.get("stalls_at") or slower else ABSENT
    steps, took = run.column("step"), run.column("step_time")
    return CLEAR if np.median(took[steps > at]) > 1.5 * np.median(took[steps < at]) else ABSENT


def stall(run: Trace, twin: Trace) -> int:
    """The loader stopped at steps that are logged, 20 times as long as usual. Faint: it stopped, and they
    do not show it; or they show it of a run that nothing stopped (others used the machine)."""
    took = run.column("step_time") if run.logged("step_time") else np.array([])
    if not run.facts.get("stalls_at") or not len(took):
        shown = len(took) > 5 and took[1:].max() > 20 * np.median(took)
        return FAINT if shown or run.facts.get("slow_from") or run.facts.get("raises") else ABSENT
    return CLEAR if took.max() > 20 * np.median(took) else FAINT


def memory_leak(run: Trace, twin: Trace) -> int:
    """Tensors are kept, and the logged memory shows it: a fifth more at the end, rising all the way."""
    if not run.facts.get("leaks") or not run.logged("rss_mb"):
        return ABSENT
    memory = run.column("rss_mb")
    return CLEAR if memory[-1] > 1.2 * memory[0] and np.mean(np.diff(memory) >= 0) > 0.9 else FAINT


def crash(run: Trace, twin: Trace) -> int:
    """A traceback ended the run. Faint, where it is an out-of-memory error."""
    if not run.facts.get("raises"):
        return ABSENT
    return FAINT if run.facts.get("memory") else CLEAR


def oom_host(run: Trace, twin: Trace) -> int:
    """The host's memory did not suffice, and the log says so."""
    return CLEAR if run.facts.get("memory") else ABSENT


def run_truncated(run: Trace, twin: Trace) -> int:
    """The log ends before the planned step without a word. Faint, where it ends with an error."""
    return CLEAR if run.facts.get("killed") else FAINT if run.facts.get("raises") else ABSENT


def loss_scale_collapse(run: Trace, twin: Trace) -> int:
    """Eight halvings of the loss scale or more, and no recovery."""
    scale = run.column("loss_scale") if run.logged("loss_scale") else np.array([])
    if len(scale) < 3:
        return ABSENT
    halvings = math.log2(scale[0] / scale[-1]) if scale[-1] > 0 else math.inf
    return CLEAR if halvings >= 8 else FAINT if halvings >= 4 else ABSENT


def steps_overlap(run: Trace, twin: Trace) -> int:
    """A restart logged steps a second time."""
    return CLEAR if run.facts.get("rewind") else ABSENT


CRITERIA: dict[str, Criterion] = {
    criterion.__name__.replace("_", "-"): criterion
    for criterion in (
        initial_loss_high, loss_nonfinite, loss_zero, loss_spike, loss_divergence, loss_oscillation,
        epoch_sawtooth, loss_repeats,
        loss_jump_on_resume, overfit_gap, eval_nonfinite, eval_at_chance, eval_below_train,
        grad_explosion, grad_vanishing, grad_zero, grad_nonfinite, grad_constant, clip_saturated,
        warmup_too_long, warmup_too_short, lr_zero, lr_schedule_anomaly, oom_host, memory_leak,
        throughput_drop, stall, crash, run_truncated, loss_scale_collapse, steps_overlap,
    )
}  # fmt: skip


def findings(run: Trace, twin: Trace) -> tuple[list[str], list[str]]:
    """Return what the curve shows clearly (``a|b``: one of them), and what may be said of it as well."""
    with np.errstate(all="ignore"):
        verdicts = {name: criterion(run, twin) for name, criterion in CRITERIA.items()}
        learning, possible = learns_too_little(run, twin), may_be_called_so(run, twin)
    clear = [name for name, verdict in verdicts.items() if verdict == CLEAR]
    faint = [name for name, verdict in verdicts.items() if verdict == FAINT]
    if learning.startswith("loss-plateau") and verdicts["loss-divergence"] == FAINT:
        learning = (
            "loss-plateau|slow-convergence|loss-divergence"  # it gained little, and lost some of it
        )
    clear += [learning] if learning else []
    if ran_away(run, twin):
        named = {"loss-divergence", "grad-explosion", "warmup-too-short"} & {*clear}
        matters_of_taste = ("loss-spike", "loss-oscillation", "slow-convergence", "overfit-gap")
        faint += [*RAN_AWAY, *(name for name in clear if name in matters_of_taste)]
        clear = [name for name in clear if name not in matters_of_taste]
        clear += [] if named or "loss-nonfinite" in clear else ["|".join(RAN_AWAY)]
    if comes_round(run) and "loss-repeats" not in clear:
        depends_on_place = ("loss-divergence", "warmup-too-short")  # a level does, in each epoch
        faint += [*COMES_ROUND, *depends_on_place, "loss-plateau", "slow-convergence"]
        named = (*COMES_ROUND, *depends_on_place, learning)
        clear = [name for name in clear if name not in named]
        clear.append("|".join(COMES_ROUND))
    said = list(dict.fromkeys((*faint, *possible)))
    return clear, [name for name in said if name not in clear]
