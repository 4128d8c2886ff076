"""The strip of the whole run: what was found and what happened, by step, each a link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loganalyze.report.marks import Mark, MarkKind, spread

if TYPE_CHECKING:
    from loganalyze.finding import Finding
    from loganalyze.run import Run

SHOWN = 60  # marks of one kind
ROWS = 6  # of findings; more lie over the last one
LEAST = 0.7  # percent: the width of a mark, to be seen and hit
LETTER = 0.72  # percent of the strip that a letter of a name takes on a wide screen
GAP = 1.5  # percent between a name and the next mark
LANES = (
    ("Epochs", MarkKind.EPOCH),
    ("Evaluations", MarkKind.EVALUATION),
    ("Checkpoints", MarkKind.CHECKPOINT),
    ("Restarts", MarkKind.RESTART),
    ("Skipped", MarkKind.SKIPPED),
    ("Failures", MarkKind.FAILURE),
)


@dataclass(frozen=True, slots=True)
class Bar:
    """A finding on the strip: left edge and width in percent, and on which side of it its name stands."""

    anchor: str
    name: str
    severity: str
    title: str
    left: float
    width: float
    row: int
    side: str


@dataclass(frozen=True, slots=True)
class Tick:
    """An event on the strip."""

    anchor: str
    title: str
    left: float


@dataclass(frozen=True, slots=True)
class Lane:
    """All events of a kind; `more` counts those without a tick."""

    name: str
    kind: str
    ticks: tuple[Tick, ...]
    more: int


@dataclass(frozen=True, slots=True)
class Strip:
    """The whole run on one line of steps.

    Attributes
    ----------
    done
        Percent of it that was run; the rest was planned.
    """

    first: int
    last: int
    end: int
    done: float
    bars: tuple[Bar, ...]
    rows: int
    lanes: tuple[Lane, ...]


def strip(run: Run, findings: Sequence[tuple[str, Finding]], marks: Sequence[Mark]) -> Strip | None:
    """Place findings, each with its anchor, and marks on the strip; None where there are no steps."""
    first, last = run.first_step, run.last_step
    if first is None or last is None:
        return None
    end = max(last, run.planned_steps or 0, first + 1)
    axis = (first, end)
    bars = _bars(findings, axis)
    lanes = [_lane(name, kind, marks, axis) for name, kind in LANES]
    shown = tuple(lane for lane in lanes if lane.ticks)
    rows = max((bar.row + 1 for bar in bars), default=0)
    return Strip(first, last, end, _percent(last, axis), tuple(bars), rows, shown)


def _percent(step: float, axis: tuple[int, int]) -> float:
    first, end = axis
    return round(100 * (min(max(step, first), end) - first) / (end - first), 2)


def _bars(findings: Sequence[tuple[str, Finding]], axis: tuple[int, int]) -> list[Bar]:
    """Put each finding into the first row in which its bar and its name cover no other."""
    bars: list[Bar] = []
    taken: list[list[tuple[float, float]]] = [[] for _ in range(ROWS)]
    for anchor, finding in findings:
        if finding.steps is None:
            continue
        left, right = (_percent(step, axis) for step in finding.steps)
        width = max(right - left, LEAST)
        left = min(left, 100 - width)
        name = LETTER * len(finding.id)
        side = _side(left, width, name)
        span = {
            "inside": (left, left + width),
            "after": (left, left + width + name + GAP),
            "before": (left - name - GAP, left + width),
        }[side]
        free = (
            row for row in range(ROWS) if all(span[1] <= a or b <= span[0] for a, b in taken[row])
        )
        row = next(free, ROWS - 1)
        taken[row].append(span)
        first, last = finding.steps
        title = f"{finding.title}: steps {first:,} to {last:,}"
        bars.append(
            Bar(
                anchor,
                finding.id,
                finding.severity.value,
                title,
                round(left, 2),
                round(width, 2),
                row,
                side,
            )
        )
    return bars


def _side(left: float, width: float, name: float) -> str:
    """Say where a bar's name has room."""
    if width > name + 2 * GAP:
        return "inside"
    return "after" if left + width + name + GAP <= 100 else "before"


def _lane(name: str, kind: MarkKind, marks: Sequence[Mark], axis: tuple[int, int]) -> Lane:
    placed = [(mark, mark.step) for mark in marks if mark.kind is kind and mark.step is not None]
    shown = spread([pair for pair in placed if pair[0].anchor], SHOWN)
    ticks = tuple(
        Tick(mark.anchor, f"step {step:,}: {mark.text}", _percent(step, axis))
        for mark, step in shown
    )
    return Lane(name, kind.value.replace(" ", "-"), ticks, len(placed) - len(shown))
