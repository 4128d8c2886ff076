"""The pieces of a `Diff`: settings, partings, levels, speeds, findings, what could explain them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loganalyze.compare.scale import Scale
    from loganalyze.finding import Finding
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
