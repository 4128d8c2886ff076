"""The `Diff`: what changed between two runs, the one value that every output renders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loganalyze.finding import Diagnosis, Finding

if TYPE_CHECKING:
    from loganalyze.compare.scale import Scale
    from loganalyze.run import FloatArray, Scalar, Series


class Axis(StrEnum):
    """What curves are aligned on."""

    STEP = "step"
    EPOCH = "epoch"
    TOKENS = "tokens"
    TIME = "time"


class Change(StrEnum):
    """What became of a setting or of a finding, from A to B."""

    DIFFERENT = "different"
    ONLY_A = "only in A"
    ONLY_B = "only in B"
    SAME = "same"


class SettingKind(StrEnum):
    """What a setting is of."""

    TRAINING = "training"
    DERIVED = "derived"  # worked out from others
    ENVIRONMENT = "environment"  # versions and machines
    BOOKKEEPING = "bookkeeping"  # names and folders


class Fate(StrEnum):
    """What became of a finding, from A to B."""

    NEW = "new"
    WORSE = "worse"
    FIXED = "fixed"
    BETTER = "better"
    PERSISTS = "persists"


class Outcome(StrEnum):
    """What the comparison comes to."""

    IDENTICAL = "identical"
    SAME = "no difference beyond noise"
    BETTER = "better"
    WORSE = "worse"
    MIXED = "better in some, worse in others"
    DIFFERENT = "different"
    INCOMPARABLE = "not comparable"
    INSUFFICIENT = "too little in common"


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of two runs.

    Attributes
    ----------
    explains
        Findings that changed, and curves that part, which this setting could explain.
    """

    key: str
    change: Change
    a: Scalar
    b: Scalar
    where_a: str = ""
    where_b: str = ""
    kind: SettingKind = SettingKind.TRAINING
    explains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parting:
    """Where two curves part.

    Attributes
    ----------
    at
        The first place on the axis at which they differ.
    between
        The place lies in here: after the first, at the latest at the second.
    until
        Where they meet again; None where they do not.
    exact
        Whether the curves are equal, digit for digit, before it.
    p
        Of the test, times the number of windows; NaN for a parting that is known exactly and stays within
        the noise.
    significant
        Whether they differ beyond noise, after the correction for all metrics.
    """

    at: float
    between: tuple[float, float]
    until: float | None = None
    exact: bool = False
    p: float = float("nan")
    significant: bool = False


@dataclass(frozen=True, slots=True)
class Level:
    """How far B lies from A, over a window.

    Attributes
    ----------
    budget What both had spent: an axis, at `at`. a, b Levels, on the metric's own scale. change B less A,
        or the logarithm of B over A on a logarithmic scale; `low` to `high` is its 95 % interval, which
        holds the noise of both runs and what runs differ by with another seed. p Two-sided, for no
        difference.
    """

    budget: Axis
    at: float
    a: float
    b: float
    change: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class Speed:
    """How soon each run reached a level.

    Attributes
    ----------
    ratio
        A's place over B's: above 1, B was faster. `low` to `high` is where it lies within the noise.
    """

    metric: str
    target: float
    axis: Axis
    a: float
    b: float
    ratio: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Throughput:
    """How fast the two runs went: medians, and B's speed over A's with its 95 % interval."""

    metric: str
    a: float
    b: float
    ratio: float
    low: float
    high: float

    @property
    def differs(self) -> bool:
        """Whether the interval leaves out equal speed."""
        return not self.low <= 1.0 <= self.high


@dataclass(frozen=True, slots=True)
class Curves:
    """Both curves of a metric at common places, and their difference in blocks."""

    at: FloatArray
    a: FloatArray
    b: FloatArray
    blocks: FloatArray  # middle of each block
    gap: FloatArray  # B less A on the metric's scale, a block each
    sigma: FloatArray  # of that, by noise and seed together


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric that both runs logged.

    Attributes
    ----------
    verdict
        -1 where B is worse, 1 where better, 0 where no difference is beyond noise or neither is better.
    """

    name: str
    scale: Scale
    points: tuple[int, int]
    series: tuple[Series, Series]
    curves: Curves | None
    identical: bool
    parting: Parting | None
    levels: tuple[Level, ...]
    verdict: int
    note: str = ""

    @property
    def end(self) -> Level | None:
        """The level at the end of what both logged, on the axis that they are aligned on."""
        return self.levels[0] if self.levels else None

    @property
    def differs(self) -> bool:
        """Whether the curves differ beyond noise."""
        return self.parting is not None and self.parting.significant


@dataclass(frozen=True, slots=True)
class FindingChange:
    """A finding in A, in B or in both."""

    id: str
    fate: Fate
    a: Finding | None
    b: Finding | None

    @property
    def finding(self) -> Finding:
        """The finding of B where it has it, else that of A."""
        found = self.b or self.a
        if found is None:
            raise ValueError("a finding of neither run")
        return found


@dataclass(frozen=True, slots=True)
class Candidate:
    """A changed setting that could explain something.

    Attributes
    ----------
    causes
        Ids of the causes through which it would.
    """

    setting: str
    text: str
    causes: tuple[str, ...]
    score: float


@dataclass(frozen=True, slots=True)
class Attribution:
    """What could explain a change, and how far that goes."""

    about: str
    candidates: tuple[Candidate, ...]
    limits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the comparison comes to, in a word and a sentence, and what belongs beside it in further ones."""

    outcome: Outcome
    headline: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pair:
    """One run against the base."""

    b: Diagnosis
    verdict: Verdict
    axis: Axis
    settings: tuple[Setting, ...]
    metrics: tuple[Metric, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    speeds: tuple[Speed, ...]
    throughput: Throughput | None
    findings: tuple[FindingChange, ...]
    attributions: tuple[Attribution, ...]

    def metric(self, name: str) -> Metric | None:
        """Return the comparison of one metric, or None where not both logged it."""
        return next((metric for metric in self.metrics if metric.name == name), None)

    @property
    def parting(self) -> Metric | None:
        """The metric whose parting is told first (`first_parting`)."""
        return first_parting(self.metrics)

    def changed(self) -> tuple[Setting, ...]:
        """Return the settings that are not the same, derived ones left out."""
        return tuple(
            s
            for s in self.settings
            if s.change is not Change.SAME and s.kind is not SettingKind.DERIVED
        )


LEARNED = ("outcome", "training")


def first_parting(metrics: Sequence[Metric]) -> Metric | None:
    """Return the metric that tells best where two runs part; None where nothing tells it.

    Of curves that are equal up to a point, the one that differs first; else, of outcomes that differ beyond
    noise, the one whose place is known most closely.
    """
    known = [m for m in metrics if m.parting is not None and m.scale.role.value in LEARNED]
    exact = [m for m in known if m.parting is not None and m.parting.exact]
    if exact:
        return min(exact, key=lambda m: m.parting.at if m.parting else 0.0)
    beyond = [m for m in known if m.differs]
    if not any(m.scale.role.value == LEARNED[0] for m in beyond):
        return None
    return min(beyond, key=_width)


def _width(metric: Metric) -> float:
    low, high = metric.parting.between if metric.parting is not None else (0.0, float("inf"))
    return high - low


@dataclass(frozen=True, repr=False)
class Diff:
    """A run and those that are compared with it, mostly one.

    ``print`` shows it as the command line does, a notebook as a card. What is said of the first pair can be
    asked of the diff itself: ``diff.verdict``, ``diff.metric("eval/loss")``.
    """

    a: Diagnosis
    pairs: tuple[Pair, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        others = ", ".join(pair.b.run.name for pair in self.pairs)
        return f"<Diff of {self.a.run.name} and {others}: {self.verdict.outcome.value}>"

    def __str__(self) -> str:
        return self.to_text().rstrip("\n")

    @property
    def b(self) -> Diagnosis:
        """The first run that A is compared with."""
        return self.pairs[0].b

    @property
    def verdict(self) -> Verdict:
        """What the comparison with it comes to."""
        return self.pairs[0].verdict

    @property
    def settings(self) -> tuple[Setting, ...]:
        """Settings, the most relevant first."""
        return self.pairs[0].settings

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Every metric that both logged, the most telling first."""
        return self.pairs[0].metrics

    @property
    def findings(self) -> tuple[FindingChange, ...]:
        """Findings, those that are new first."""
        return self.pairs[0].findings

    @property
    def attributions(self) -> tuple[Attribution, ...]:
        """What could explain the changes."""
        return self.pairs[0].attributions

    @property
    def parting_step(self) -> float | None:
        """Where the curves part, on the axis they are aligned on; None where they do not."""
        found = self.pairs[0].parting
        return found.parting.at if found is not None and found.parting is not None else None

    def metric(self, name: str) -> Metric | None:
        """Return the comparison of one metric, or None where not both logged it."""
        return self.pairs[0].metric(name)

    def to_text(self, **options: Any) -> str:
        """Return the diff as the terminal shows it."""
        from loganalyze.report.diff_text import render

        return render(self, **options)

    def to_dict(self) -> dict[str, Any]:
        """Return the diff as plain values, in the shape of schema_version 1."""
        from loganalyze.report.diff_json import to_dict

        return to_dict(self)

    def to_json(self) -> str:
        """Return the diff as strict JSON, schema_version 1."""
        from loganalyze.report.diff_json import render

        return render(self)

    def to_html(self, path: str | Path, *, lang: str = "en") -> Path:
        """Write the self-contained HTML page to `path`, in English or Korean (``"ko"``)."""
        from loganalyze.report.diff_html import render

        target = Path(path)
        target.write_text(render(self, lang=lang), encoding="utf-8", errors="replace")
        return target

    def _repr_html_(self) -> str:
        from loganalyze.report.diff_html import card

        return card(self)
