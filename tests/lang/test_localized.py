"""A diagnosis in Korean: every sentence is, every id and number is what it was, and JSON is English."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import loganalyze as la
from loganalyze.diagnosis import LONGEST_HEADLINE
from loganalyze.finding import Cause, Clue, Diagnosis, Outcome
from loganalyze.lang.localized import localized
from loganalyze.report import html

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = sorted(path.name for path in (ROOT / "sample_logs").iterdir() if path.is_dir())
HANGUL = re.compile("[가-힣]")
# What is written as code, or as "name before -> after", reads the same in every language.
CODE = re.compile(r"[\w.]+ (?:\S+ )?-> \S+(?:, [\w.]+ \S+ -> \S+)*|[\w.]+\(.*\)")


@pytest.fixture(scope="module", params=SAMPLES)
def diagnosis(request: pytest.FixtureRequest) -> Diagnosis:
    return la.diagnose(la.load(ROOT / "sample_logs" / request.param))


def sentences(diagnosis: Diagnosis) -> Iterator[str]:
    yield diagnosis.verdict.headline
    for finding in diagnosis.findings:
        yield from (finding.title, finding.summary, *finding.fix)
    for cause in diagnosis.causes:
        yield from (cause.title, cause.confirm, *(clue.text for clue in cause.clues), *cause.fix)
        yield from filter(None, [cause.undecided])
    for check in diagnosis.checks:
        yield check.title
        if check.outcome is not Outcome.PASSED:
            yield check.reason


def test_every_sentence_of_the_samples_is_translated(diagnosis: Diagnosis) -> None:
    left = [text for text in sentences(localized(diagnosis, "ko")) if not HANGUL.search(text)]
    assert [text for text in left if not CODE.fullmatch(text)] == []


def test_ids_numbers_and_order_are_what_they_were(diagnosis: Diagnosis) -> None:
    korean = localized(diagnosis, "ko")
    assert [f.id for f in korean.findings] == [f.id for f in diagnosis.findings]
    assert [c.id for c in korean.causes] == [c.id for c in diagnosis.causes]
    assert [c.probability for c in korean.causes] == [c.probability for c in diagnosis.causes]
    assert [c.id for c in korean.checks] == [c.id for c in diagnosis.checks]
    for one, other in zip(korean.findings, diagnosis.findings, strict=True):
        assert (one.severity, one.steps, one.where) == (other.severity, other.steps, other.where)
        assert one.evidence.keys() == other.evidence.keys()
        numbers = re.findall(r"\d[\d,.]*\d", other.summary)
        assert all(number in one.summary for number in numbers)


def test_json_is_english_whatever_was_rendered(diagnosis: Diagnosis) -> None:
    before = diagnosis.to_json()
    localized(diagnosis, "ko")
    assert diagnosis.to_json() == before
    assert not HANGUL.search(before)


def test_labels_of_figures_are_translated_after_they_are_drawn() -> None:
    run = la.load(ROOT / "sample_logs" / "report-280-classes")
    page = html.render(la.diagnose(run), lang="ko")  # a letter that is missing would warn
    drawn = re.findall(r"<text[^>]*>([^<]*)</text>", page)
    assert "목표 1e-05" in drawn
    assert "ln(280) = 5.63" in drawn


def test_a_language_that_there_is_not_is_refused(diagnosis: Diagnosis, tmp_path: Path) -> None:
    with pytest.raises(la.UsageError, match="no language is called"):
        diagnosis.to_html(tmp_path / "x.html", lang="../ko")
    assert not (tmp_path / "x.html").exists()


def test_english_is_the_diagnosis_itself(diagnosis: Diagnosis) -> None:
    assert localized(diagnosis, "en") is diagnosis


def test_a_headline_that_was_cut_is_cut_after_its_translation(diagnosis: Diagnosis) -> None:
    long = "The loss does not fall. " * 20
    first = dataclasses.replace(diagnosis.findings[0], summary=long) if diagnosis.findings else None
    if first is None:
        pytest.skip("a run without findings")
    cut = long[: LONGEST_HEADLINE - 3].rsplit(" ", 1)[0] + " ..."
    changed = dataclasses.replace(
        diagnosis,
        findings=(first, *diagnosis.findings[1:]),
        verdict=dataclasses.replace(diagnosis.verdict, headline=cut),
    )
    headline = localized(changed, "ko").verdict.headline
    assert HANGUL.search(headline)
    assert len(headline) <= LONGEST_HEADLINE


def test_what_would_tell_causes_apart_is_said_in_korean(diagnosis: Diagnosis) -> None:
    confirm = (
        "Run 50 steps at a tenth of the rate from the last good checkpoint: the fault stays away."
    )
    text = "The log does not separate this from lr-too-low (20%): each explains loss-spike."
    cause = Cause(
        "lr-too-high", "The learning rate is too high", 0.3, ("loss-spike",),
        (Clue("The loss falls, only slowly.", 1.0),), (), "", confirm, f"{text} What would tell: {confirm}",
    )  # fmt: skip
    told = localized(dataclasses.replace(diagnosis, causes=(cause,)), "ko").causes[0]
    assert told.undecided.endswith(told.confirm)
    assert HANGUL.search(told.confirm)
    assert "What would tell" not in told.undecided
