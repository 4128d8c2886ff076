"""From findings to ranked causes.

For every finding the hypotheses that can explain it compete, together with "something else" at
odds 0.25. With the odds of a hypothesis ``o_i = exp(prior_i + sum of its clues' weights)`` its
probability as the explanation of finding f is ``o_i / (0.25 + sum over all j that explain f of
o_j)``. The probability of a cause is the highest it reaches over the findings it explains.

Causes of the most severe finding come first, those of what is learned before those of speed and memory,
then by probability: what broke the run comes before what slowed it down. Without evidence for a cause of
its own a slow machine counts as a note: others may have used it.

A finding of severity info is a note: many runs that have one are sound. It counts as evidence; causes of
its own are named only where nothing worse is found in what is learned or the log states one in words, and
their probability is then multiplied by that of a fault behind a note. One of them at least needs evidence; it
stands before those that are mere rivals.
"""

from __future__ import annotations

import math
import shlex
import warnings
from dataclasses import dataclass

from loganalyze.causes.cause import STATED, Case, Hypothesis
from loganalyze.causes.rivals import with_rivals
from loganalyze.finding import DECIDED, Cause, Clue, Finding, Severity
from loganalyze.probed import Probed
from loganalyze.run import Run

LEAST = 0.03  # causes below this probability are not worth a reader's time
# Odds of a cause that is in no list, beside a listed one without any evidence for or against it (1). With 0.5
# the causes of the development runs that got 30 to 40 % were right in 63 % of the cases, with 0.25 in 35 %.
SOMETHING_ELSE = 0.25
# Probability that a note with a cause has a fault behind it: 63 of the 109 runs of `benchmarks/faults` have
# one whose worst finding is a note and that get a cause for it.
OF_A_NOTE = 0.58
SYSTEM = frozenset({"throughput-drop", "stall", "memory-leak"})  # they slow a run down, at first
CERTAIN = 0.99  # the most that a log alone can make of a cause
CONFIRMED = 0.999  # the most that an experiment on the model can
DIGITS = 4  # of a probability, in every output
MAX_LOG_ODDS = 12.0  # beyond it the arithmetic says nothing more


@dataclass(frozen=True, slots=True)
class _Weighed:
    """A hypothesis with what it says of this run."""

    hypothesis: Hypothesis
    clues: tuple[Clue, ...]
    fix: tuple[str, ...]

    @property
    def odds(self) -> float:
        total = self.hypothesis.prior + sum(clue.weight for clue in self.clues)
        return math.exp(max(-MAX_LOG_ODDS, min(MAX_LOG_ODDS, total)))

    @property
    def has_evidence(self) -> bool:
        """Whether more speaks for it than against it."""
        return sum(clue.weight for clue in self.clues) > 0

    @property
    def is_stated(self) -> bool:
        """Whether the log names it in words."""
        return any(clue.weight >= STATED and not clue.check for clue in self.clues)


def rank(
    run: Run, findings: tuple[Finding, ...], probed: Probed | None = None
) -> tuple[Cause, ...]:
    """Weigh every hypothesis that explains a finding; one that explains only notes yields to serious ones.

    What experiments on the model measured weighs with what the log says. A cause that they ruled out stays in
    the list, with the reason.

    Returns
    -------
    Causes, the most important first.
    """
    from loganalyze.causes import hypotheses

    case = Case(run, findings)
    severity = {f.id: f.severity.rank for f in reversed(findings)}
    serious = {f.id for f in findings if f.severity is not Severity.INFO}
    considered = [h for h in hypotheses() if set(severity) & set(h.explains)]
    weighed = [w for h in considered if (w := _weigh(h, case, probed)) is not None]
    stated = {i for w in weighed if w.is_stated for i in w.hypothesis.explains}
    asked = serious | stated if serious - SYSTEM else set(severity)
    # A note needs more than a suspicion; where there is more, what else explains it is a rival as elsewhere.
    suspected = {i for w in weighed if w.has_evidence for i in w.hypothesis.explains}
    weighed = [w for w in weighed if (serious | suspected) & set(w.hypothesis.explains)]
    suspects = {w.hypothesis.id for w in weighed if w.has_evidence}
    faulty = {i: 1.0 if i in serious | stated else OF_A_NOTE for i in asked}
    found = tuple(dict.fromkeys(f.id for f in findings if f.id in asked))
    weighed = [w for w in weighed if asked & set(w.hypothesis.explains)]
    causes = [_cause(w, weighed, run, {i: faulty[i] for i in found}) for w in weighed]
    # What only an experiment made unlikely stays, so that a reader sees it ruled out.
    likely = {cause.id for cause in rank(run, findings)} if probed is not None else set()
    kept = [cause for cause in causes if cause.probability >= LEAST or _is_ruled_out(cause, likely)]
    shown = {w.hypothesis.id for w in weighed if w.has_evidence}
    in_words = {w.hypothesis.id for w in weighed if w.is_stated}

    def place(cause: Cause) -> tuple[int, bool, bool, float]:
        worst = max(severity[i] for i in cause.explains)
        if SYSTEM.issuperset(cause.explains) and cause.id not in shown:
            worst = Severity.INFO.rank  # a machine that others use is slow as well
        if cause.id in in_words:  # a note whose cause is known is no mere note
            worst = max(worst, Severity.WARNING.rank)
        suspicion = not serious & set(cause.explains) and cause.id not in suspects
        return -worst, SYSTEM.issuperset(cause.explains), suspicion, -cause.probability

    kept.sort(key=place)
    return with_rivals(tuple(kept))


def _is_ruled_out(cause: Cause, likely: set[str]) -> bool:
    return cause.probed == "ruled out" and cause.id in likely


def _weigh(hypothesis: Hypothesis, case: Case, probed: Probed | None) -> _Weighed | None:
    measured = probed.evidence_of(hypothesis.id) if probed is not None else ()
    try:
        clues = (
            *hypothesis.weigh(case),
            *(Clue(f"probe {check}: {e.text}", e.weight, check) for check, e in measured),
        )
        return _Weighed(hypothesis, clues, tuple(hypothesis.fix(case)))
    except Exception as error:  # noqa: BLE001 - one hypothesis must not cost the report
        text = f"cause {hypothesis.id} was left out: {type(error).__name__}: {error}"
        warnings.warn(text, RuntimeWarning, stacklevel=3)
        return None


def _cause(this: _Weighed, weighed: list[_Weighed], run: Run, found: dict[str, float]) -> Cause:
    """Make the cause of the `found` findings that it explains; their values are how likely a fault is."""
    hypothesis = this.hypothesis
    explains = tuple(identifier for identifier in found if identifier in hypothesis.explains)
    is_confirmed = sum(clue.weight for clue in this.clues if clue.check) >= DECIDED
    shares = [_probability(this, weighed, i, 1.0 if is_confirmed else found[i]) for i in explains]
    return Cause(
        id=hypothesis.id,
        title=hypothesis.title,
        probability=min(CONFIRMED if is_confirmed else CERTAIN, round(max(shares), DIGITS)),
        explains=explains,
        clues=this.clues,
        fix=this.fix,
        probe=f"loganalyze probe {hypothesis.probe} TARGET --run {shlex.quote(run.path)}",
        confirm=section(hypothesis.explanation, "How to confirm"),
        is_testable=hypothesis.is_testable,
    )


def _probability(this: _Weighed, weighed: list[_Weighed], finding: str, faulty: float) -> float:
    """Return the share of `this` among all that explain `finding`, "something else" included."""
    rivals = sum(other.odds for other in weighed if finding in other.hypothesis.explains)
    return faulty * this.odds / (SOMETHING_ELSE + rivals)


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
