"""From findings to ranked causes.

For every finding the hypotheses that can explain it compete, together with "something else" at
odds 1. With the odds of a hypothesis ``o_i = exp(prior_i + sum of its clues' weights)`` its
probability as the explanation of finding f is ``o_i / (1 + sum over all j that explain f of
o_j)``. The probability of a cause is the highest it reaches over the findings it explains.

Causes of the most severe finding come first, then by probability: what broke the run comes before
what slowed it down.
"""

from __future__ import annotations

import math
import shlex

from loganalyze.causes.cause import Case, Hypothesis
from loganalyze.finding import Cause, Clue, Finding, Severity
from loganalyze.run import Run

LEAST = 0.03  # causes below this probability are not worth a reader's time
SOMETHING_ELSE = 1.0  # odds of a cause that is in no list
MAX_LOG_ODDS = 12.0  # beyond it the arithmetic says nothing more


def rank(run: Run, findings: tuple[Finding, ...]) -> tuple[Cause, ...]:
    """Weigh every hypothesis that explains a finding of severity warning or above.

    Returns
    -------
    Causes, the most important first.
    """
    from loganalyze.causes import hypotheses

    serious = tuple(finding for finding in findings if finding.severity is not Severity.INFO)
    if not serious:
        return ()
    case = Case(run, findings)
    found = {finding.id for finding in serious}
    weighed = [
        (hypothesis, tuple(hypothesis.weigh(case)))
        for hypothesis in hypotheses()
        if found & set(hypothesis.explains)
    ]
    odds = {hypothesis.id: _odds(hypothesis, clues) for hypothesis, clues in weighed}
    causes = [
        _cause(hypothesis, clues, case, serious, _probability(hypothesis, weighed, odds, found))
        for hypothesis, clues in weighed
    ]
    severity = {finding.id: finding.severity.rank for finding in serious}
    kept = [cause for cause in causes if cause.probability >= LEAST]
    kept.sort(
        key=lambda cause: (-max(severity.get(i, 0) for i in cause.explains), -cause.probability)
    )
    return tuple(kept)


def _odds(hypothesis: Hypothesis, clues: tuple[Clue, ...]) -> float:
    total = hypothesis.prior + sum(clue.weight for clue in clues)
    return math.exp(max(-MAX_LOG_ODDS, min(MAX_LOG_ODDS, total)))


def _probability(
    hypothesis: Hypothesis,
    weighed: list[tuple[Hypothesis, tuple[Clue, ...]]],
    odds: dict[str, float],
    found: set[str],
) -> float:
    best = 0.0
    for finding in found & set(hypothesis.explains):
        rivals = sum(odds[other.id] for other, _ in weighed if finding in other.explains)
        best = max(best, odds[hypothesis.id] / (SOMETHING_ELSE + rivals))
    return best


def _cause(
    hypothesis: Hypothesis,
    clues: tuple[Clue, ...],
    case: Case,
    serious: tuple[Finding, ...],
    probability: float,
) -> Cause:
    explains = dict.fromkeys(f.id for f in serious if f.id in hypothesis.explains)
    run = shlex.quote(case.run.path)
    return Cause(
        id=hypothesis.id,
        title=hypothesis.title,
        probability=probability,
        explains=tuple(explains),
        clues=clues,
        fix=tuple(hypothesis.fix(case)),
        probe=f"loganalyze probe {hypothesis.probe} TARGET --run {run}",
        confirm=section(hypothesis.explanation, "How to confirm"),
    )


def section(text: str, heading: str) -> str:
    """Return one section of a module's documentation as a single line."""
    lines = text.splitlines()
    if heading not in lines:
        return ""
    body: list[str] = []
    for line in lines[lines.index(heading) + 2 :]:
        if line and set(line) == {"-"}:
            body.pop()
            break
        body.append(line)
    return " ".join(part.strip() for part in body if part.strip())
