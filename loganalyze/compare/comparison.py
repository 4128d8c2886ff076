"""The `Diff`: what changed between runs, the one value that every output renders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loganalyze.compare.values import Change, SettingKind

if TYPE_CHECKING:
    from loganalyze.compare.values import (
        Attribution,
        Axis,
        FindingChange,
        Metric,
        Setting,
        Speed,
        Throughput,
        Verdict,
    )
    from loganalyze.finding import Diagnosis


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
