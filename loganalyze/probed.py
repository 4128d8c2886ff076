"""What an experiment on the live model came to: plain values, without torch.

`loganalyze.probe` makes them, ``probe.json`` carries them, and `loganalyze.causes` weighs them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from loganalyze.finding import Outcome


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a result says about a cause.

    Attributes
    ----------
    cause
        Id of the cause, ``"head-init-scale"``.
    weight
        Log-odds (natural logarithm), on the scale of `loganalyze.causes.cause`; negative: against it.
    text
        One sentence with the numbers that were measured.
    """

    cause: str
    weight: float
    text: str


class Drawn(StrEnum):
    """How a figure is drawn."""

    LINE = "line"
    BARS = "bars"
    PICTURES = "pictures"


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of a line, or lengths of bars."""

    label: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True, slots=True)
class Picture:
    """One sample to look at: a PNG in base64, and what stands below it."""

    caption: str
    png: str


@dataclass(frozen=True, slots=True)
class ProbeFigure:
    """A figure as data; `loganalyze.report` draws it.

    Attributes
    ----------
    names
        Of bars: the name of each, in the order of the curves' points.
    levels
        Lines to mark: label -> value, on the y-axis (of bars: on the axis of their length).
    places
        Places to mark on the x-axis of lines: label -> value.
    """

    title: str
    drawn: Drawn
    curves: tuple[Curve, ...] = ()
    x_label: str = ""
    y_label: str = ""
    log_x: bool = False
    log_y: bool = False
    names: tuple[str, ...] = ()
    levels: Mapping[str, float] = field(default_factory=dict)
    places: Mapping[str, float] = field(default_factory=dict)
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True)
class ProbeTable:
    """Rows to read; each cell a number or a text."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[float | str, ...], ...]


@dataclass(frozen=True, slots=True)
class Restored:
    """The proof that everything is as it was.

    Attributes
    ----------
    tensors, objects, generators
        How many were compared bit for bit with what they were before: tensors, other objects and their
        attributes, states of random generators.
    changed
        Names of those that could not be put back; empty if all was.
    remarks
        What nobody can put back, such as the place in a one-way iterator.
    """

    tensors: int = 0
    objects: int = 0
    generators: int = 0
    changed: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def identical(self) -> bool:
        """Whether everything that was compared is as it was."""
        return not self.changed


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What one check came to.

    Attributes
    ----------
    outcome
        ``FOUND``: something is wrong. ``PASSED``: it is as it should be. ``NOT_APPLICABLE``, ``ERROR``:
        why stands in the summary.
    summary
        One sentence with the numbers.
    problems
        Each thing that is wrong, a sentence; the gravest first.
    notes
        What is worth knowing and no fault.
    measurements
        Name -> number or text; names carry their unit (``loss_of_batch``, ``lr_steepest``).
    fix
        What to change, each "name before -> after" or an instruction.
    seconds
        Wall time of the check.
    """

    outcome: Outcome
    summary: str
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    measurements: Mapping[str, float | str] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    fix: tuple[str, ...] = ()
    figures: tuple[ProbeFigure, ...] = ()
    tables: tuple[ProbeTable, ...] = ()
    check: str = ""
    seconds: float = 0.0
    restored: Restored = Restored()


@dataclass(frozen=True, slots=True)
class Subject:
    """What was probed."""

    name: str
    model: str
    parameters: int
    trainable: int
    device: str
    torch: str = ""


@dataclass(frozen=True, slots=True)
class Probed:
    """All results of one call of ``loganalyze probe``: the content of ``probe.json``.

    Attributes
    ----------
    run_name, run_path
        Of the run whose causes were asked about; empty without one.
    """

    subject: Subject
    results: tuple[ProbeResult, ...]
    run_name: str = ""
    run_path: str = ""

    def evidence_of(self, cause: str) -> tuple[tuple[str, Evidence], ...]:
        """Return what speaks for and against a cause, each with the check that said it."""
        return tuple(
            (result.check, evidence)
            for result in self.results
            for evidence in result.evidence
            if evidence.cause == cause
        )
