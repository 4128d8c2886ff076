"""Which changed settings could explain what changed, and how far one pair of runs goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loganalyze.compare.levers import CURVES, LEVERS
from loganalyze.compare.settings import plain
from loganalyze.compare.values import Attribution, Candidate, Change, Fate, Setting, SettingKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loganalyze.compare.values import FindingChange, Metric
    from loganalyze.finding import Diagnosis
    from loganalyze.run import Scalar

MOST = 5  # candidates that are named
# Names that a setting may have beside the one in the table of levers.
SYNONYMS = {"warmup_share": "warmup_ratio", "per_device_train_batch_size": "train_batch_size"}
ANYWAY = 0.02  # what a cause counts that was not ranked: it could still be
SCARCELY = 0.5  # how much a change counts of which the direction does not tell


def attributions(
    diagnoses: tuple[Diagnosis, Diagnosis],
    settings: Sequence[Setting],
    findings: Sequence[FindingChange],
    metrics: Sequence[Metric],
) -> tuple[Attribution, ...]:
    """Name for each finding that changed, and for the curves where they differ, what could explain it."""
    changed = [s for s in settings if s.change is not Change.SAME and _acts(s)]
    limits = _limits([s for s in changed if s.kind is not SettingKind.DERIVED])
    found = [
        Attribution(change.id, _of_finding(diagnoses, changed, change), limits)
        for change in findings
        if change.fate is not Fate.PERSISTS
    ]
    parted = next((metric for metric in metrics if metric.differs or metric.verdict), None)
    if parted is not None:
        found.insert(0, Attribution(parted.name, _of_curve(changed), (*_exact(parted), *limits)))
    return tuple(found)


def explained_by(found: Sequence[Attribution]) -> dict[str, tuple[str, ...]]:
    """Return for each setting what it could explain."""
    about: dict[str, list[str]] = {}
    for attribution in found:
        for candidate in attribution.candidates:
            about.setdefault(candidate.setting, []).append(attribution.about)
    return {key: tuple(dict.fromkeys(names)) for key, names in about.items()}


def _acts(setting: Setting) -> bool:
    """Tell whether a setting could do anything to a curve; names of folders could not."""
    return setting.kind is not SettingKind.BOOKKEEPING


def _of_finding(
    diagnoses: tuple[Diagnosis, Diagnosis], changed: Sequence[Setting], change: FindingChange
) -> tuple[Candidate, ...]:
    arose = change.fate in (Fate.NEW, Fate.WORSE)
    causes = {
        c.id: c.probability for c in diagnoses[1 if arose else 0].causes if change.id in c.explains
    }
    possible = {h for h in _explaining(change.id) if h in LEVERS}
    candidates = []
    for setting in changed:
        key = SYNONYMS.get(setting.key, setting.key)
        scores = {
            cause: max(causes.get(cause, 0.0), ANYWAY)
            * _fits(setting, LEVERS[cause][key], arose=arose)
            for cause in possible
            if key in LEVERS[cause]
        }
        scores = {cause: score for cause, score in scores.items() if score > 0}
        if scores:
            ranked = tuple(sorted(scores, key=lambda cause: -scores[cause]))
            candidates.append(
                Candidate(setting.key, change_text(setting), ranked[:2], max(scores.values()))
            )
    return tuple(sorted(candidates, key=lambda c: -c.score)[:MOST])


def _explaining(finding: str) -> list[str]:
    from loganalyze.causes import hypotheses

    return [h.id for h in hypotheses() if finding in h.explains]


def _fits(setting: Setting, way: int, *, arose: bool) -> float:
    """Return how well the way of a change fits: 1, less where it does not tell, 0 for the other way."""
    a, b = plain(setting.a), plain(setting.b)
    numbers = isinstance(a, float) and isinstance(b, float)
    if not way or not numbers or not isinstance(a, float) or not isinstance(b, float):
        return SCARCELY
    grew = 1 if b > a else -1
    return 1.0 if grew * (1 if arose else -1) == way else 0.0


def _of_curve(changed: Sequence[Setting]) -> tuple[Candidate, ...]:
    candidates = []
    for setting in changed:
        key = SYNONYMS.get(setting.key, setting.key)
        if key in CURVES:
            place = CURVES.index(key)
            through = tuple(cause for cause, keys in LEVERS.items() if key in keys)
            candidates.append(
                Candidate(setting.key, change_text(setting), through[:2], 1 / (1 + place))
            )
    return tuple(sorted(candidates, key=lambda c: -c.score)[:MOST])


def change_text(setting: Setting) -> str:
    """Return a change in short: ``learning_rate 0.001 -> 0.01``."""
    shown = {Change.ONLY_A: "not told", Change.ONLY_B: "not told"}
    a = shown.get(setting.change) if setting.change is Change.ONLY_B else _value(setting.a)
    b = shown.get(setting.change) if setting.change is Change.ONLY_A else _value(setting.b)
    return f"{setting.key} {a} -> {b}"


def _value(value: Scalar) -> str:
    known = plain(value)  # "1e-3" and 0.01 are told alike
    text = f"{known:.6g}" if isinstance(known, float) else str(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _exact(metric: Metric) -> tuple[str, ...]:
    if metric.parting is None or not metric.parting.exact:
        return ()
    return (
        "Both runs are equal up to there, so what differs acts from there on: a schedule, a restart, "
        "the data or the code, not a value in use from the first step.",
    )


def _limits(changed: Sequence[Setting]) -> tuple[str, ...]:
    """Say what one pair of runs cannot tell."""
    count = len([setting for setting in changed if setting.key != "seed"])
    seed = any(setting.key == "seed" for setting in changed)
    said = []
    if count > 1:
        said.append(
            f"{count} settings changed at once: this pair cannot tell which of them it was."
        )
    if not count:
        said.append(
            "No setting that the logs hold changed"
            + (" but the seed" if seed else "")
            + ": code, data or the environment may have, which these logs do not show."
        )
    said.append(
        "One pair of runs proves no cause: a second seed of each would tell whether the difference holds."
    )
    return tuple(said)
