"""The arithmetic of the ranking, with hypotheses made up for it."""

from __future__ import annotations

import pytest

from loganalyze.causes import HYPOTHESES, rank
from loganalyze.causes.cause import DECISIVE, STATED, WEAK, Case, Hypothesis
from loganalyze.finding import Cause, Clue, Finding, Severity
from loganalyze.probe import PROBES
from tests.builders import make_run

RUN = make_run(loss=[1, 1, 1])


def finding(identifier: str, severity: Severity = Severity.CRITICAL, **evidence: object) -> Finding:
    return Finding(identifier, severity, 1.0, identifier, f"{identifier}.", evidence=evidence)  # type: ignore[arg-type]


def hypothesis(identifier: str, prior: float, *explains: str, weight: float = 0.0) -> Hypothesis:
    def weigh(case: Case) -> list[Clue]:
        return [Clue("It is so.", weight)] if weight else []

    return Hypothesis(identifier, identifier, prior, explains, weigh, lambda case: [], "init")


def ranked(
    monkeypatch: pytest.MonkeyPatch, hypotheses: list[Hypothesis], *findings: Finding
) -> tuple[Cause, ...]:
    monkeypatch.setattr("loganalyze.causes.hypotheses", lambda: tuple(hypotheses))
    return rank.rank(RUN, findings)


def test_two_equal_hypotheses_and_something_else_share_a_finding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = [hypothesis("a", 0.0, "x"), hypothesis("b", 0.0, "x")]
    assert [c.probability for c in ranked(monkeypatch, both, finding("x"))] == pytest.approx(
        [4 / 9, 4 / 9], abs=1e-4
    )


def test_a_decisive_clue_lifts_even_odds_to_99_percent(monkeypatch: pytest.MonkeyPatch) -> None:
    (cause,) = ranked(monkeypatch, [hypothesis("a", 0.0, "x", weight=DECISIVE)], finding("x"))
    assert cause.probability == pytest.approx(0.988, abs=0.001)


def test_hypotheses_compete_only_over_a_common_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    apart = [hypothesis("a", 0.0, "x"), hypothesis("b", 0.0, "y")]
    causes = ranked(monkeypatch, apart, finding("x"), finding("y"))
    assert [c.probability for c in causes] == pytest.approx([0.8, 0.8], abs=1e-4)


def test_the_best_explained_finding_gives_the_probability(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [hypothesis("a", 0.0, "x", "y"), hypothesis("b", 3.0, "x")]
    causes = ranked(monkeypatch, both, finding("x"), finding("y"))
    assert next(c.probability for c in causes if c.id == "a") == pytest.approx(0.8, abs=1e-4)


def test_what_explains_a_critical_finding_comes_before_a_likelier_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = [hypothesis("slow", 3.0, "y"), hypothesis("broken", 0.0, "x")]
    causes = ranked(monkeypatch, both, finding("y", Severity.WARNING), finding("x"))
    assert [c.id for c in causes] == ["broken", "slow"]


def test_a_cause_below_3_percent_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [hypothesis("a", 0.0, "x"), hypothesis("b", -5.0, "x")]
    assert [c.id for c in ranked(monkeypatch, both, finding("x"))] == ["a"]


def test_a_note_has_its_causes_as_often_as_a_fault_is_behind_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = [hypothesis("a", 0.0, "x", weight=WEAK), hypothesis("suspicion", 0.0, "x")]
    first, second = ranked(monkeypatch, both, finding("x", Severity.INFO))
    assert (first.id, first.probability) == ("a", pytest.approx(0.58 * 1.4918 / 2.7418, abs=1e-4))
    assert (second.id, second.probability) == ("suspicion", pytest.approx(0.58 / 2.7418, abs=1e-4))


def test_a_note_needs_more_than_suspicions_and_what_has_evidence_stands_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    suspicions = [hypothesis("a", 0.0, "x"), hypothesis("b", 2.0, "x")]
    assert ranked(monkeypatch, suspicions, finding("x", Severity.INFO)) == ()
    both = [*suspicions, hypothesis("c", 0.0, "x", weight=WEAK)]
    causes = ranked(monkeypatch, both, finding("x", Severity.INFO))
    assert [cause.id for cause in causes] == ["c", "b", "a"]


def test_a_note_beside_a_serious_finding_summons_no_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [hypothesis("a", 3.0, "x"), hypothesis("b", 0.0, "y")]
    causes = ranked(monkeypatch, both, finding("x", Severity.INFO), finding("y"))
    assert [c.id for c in causes] == ["b"]


def test_a_hypothesis_that_explains_nothing_found_is_not_considered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert ranked(monkeypatch, [hypothesis("a", 3.0, "y")], finding("x")) == ()


def test_a_hypothesis_that_fails_costs_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(case: Case) -> list[Clue]:
        raise KeyError("metric")

    bad = Hypothesis("bad", "bad", 0.0, ("x",), broken, lambda case: [], "init")
    with pytest.warns(RuntimeWarning, match="cause bad was left out: KeyError"):
        causes = ranked(monkeypatch, [bad, hypothesis("a", 0.0, "x")], finding("x"))
    assert [c.id for c in causes] == ["a"]


def test_the_probe_is_a_complete_command() -> None:
    (cause, *_) = rank.rank(RUN, (finding("overfit-gap", Severity.WARNING),))
    assert cause.probe == "loganalyze probe overfit TARGET --run test"


@pytest.mark.parametrize("one", HYPOTHESES, ids=lambda h: h.id)
def test_a_hypothesis_bears_findings_without_evidence(one: Hypothesis) -> None:
    for identifier in one.explains:
        case = Case(RUN, (finding(identifier),))
        assert all(clue.text.endswith((".", '"')) for clue in one.weigh(case))
        assert all(isinstance(line, str) and line for line in one.fix(case))


@pytest.mark.parametrize("one", HYPOTHESES, ids=lambda h: h.id)
def test_a_hypothesis_names_a_probe_that_exists_and_how_to_confirm(one: Hypothesis) -> None:
    assert one.probe in {probe.id for probe in PROBES}
    assert rank.section(one.explanation, "How to confirm")


def test_a_run_that_is_only_slow_is_asked_for_the_causes_of_its_notes_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rate = hypothesis("rate", 0.0, "y", weight=WEAK)
    slow = finding("throughput-drop", Severity.WARNING)
    note = finding("y", Severity.INFO)
    waits, busy = (
        [hypothesis("loader", 0.0, "throughput-drop", weight=weight), rate]
        for weight in (WEAK, -WEAK)
    )
    assert [c.id for c in ranked(monkeypatch, waits, slow, note)] == ["loader", "rate"]
    # A machine that others use is slow as well: without evidence it does not come first.
    assert [c.id for c in ranked(monkeypatch, busy, slow, note)] == ["rate", "loader"]
    assert [c.id for c in ranked(monkeypatch, waits, finding("x"), note)] == []


def test_a_cause_that_the_log_states_comes_before_that_of_a_slow_loader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = [
        hypothesis("loader", 3.0, "throughput-drop"),
        hypothesis("odd", 0.0, "y", weight=STATED),
    ]
    slow = finding("throughput-drop", Severity.WARNING)
    note = finding("y", Severity.INFO)
    assert [c.id for c in ranked(monkeypatch, both, slow, note)] == ["odd", "loader"]
