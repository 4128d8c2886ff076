"""The loop is closed: what an experiment measured ranks the causes of the next report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import loganalyze as la
from loganalyze.errors import NothingReadable
from loganalyze.finding import DECIDED, Outcome
from loganalyze.probe import probe
from loganalyze.probe.recommended import recommended
from loganalyze.probe_file import HEAVIEST, document, parsed, read
from loganalyze.probed import Evidence, Probed, ProbeResult, Subject
from loganalyze.report.html import render as render_page
from loganalyze.report.json import plain
from tests.probe import targets

ROOT = Path(__file__).resolve().parents[2]
SICK = ROOT / "sample_logs" / "report-280-classes"
Call = Callable[..., tuple[int, str, str]]

TARGETS = """
from tests.probe import targets
def wide(): return targets.wide_head(60.0)
def summed(): return targets.summed_over_accumulation(12)
"""


def probed(*evidence: Evidence, run: str = "") -> Probed:
    result = ProbeResult(Outcome.FOUND, "It is so.", evidence=evidence, check="init")
    return Probed(Subject("t", "M", 1, 1, "cpu"), (result,), run)


def test_the_log_alone_leaves_two_causes_close() -> None:
    first, second = la.diagnose(la.load(SICK)).causes[:2]
    assert {first.id, second.id} == {"loss-not-normalized", "head-init-scale"}
    assert first.probability < 0.5
    assert second.probability > 0.25
    assert first.probed == second.probed == ""


@pytest.mark.parametrize(
    ("function", "true", "other"),
    [
        ("wide", "head-init-scale", "loss-not-normalized"),
        ("summed", "loss-not-normalized", "head-init-scale"),
    ],
)
def test_the_recommended_probe_puts_the_true_cause_above_090(
    call: Call, tmp_path: Path, function: str, true: str, other: str
) -> None:
    (tmp_path / "mine.py").write_text(TARGETS)
    code, _, err = call("probe", "recommended", f"mine.py:{function}", "--run", SICK)
    assert code == 0
    assert "Wrote report-280-classes-probe.json" in err
    code, _, _ = call(
        "report", SICK, "--probe", "report-280-classes-probe.json", "--json", "d.json"
    )
    assert code == 0
    told = json.loads(Path("d.json").read_text())
    first = told["causes"][0]
    assert first["id"] == true
    assert first["probability"] > 0.9
    assert any(clue["text"].startswith("probe init: ") for clue in first["evidence_for"])
    assert next(c["probability"] for c in told["causes"] if c["id"] == other) < 0.05
    assert f"Confirmed by probe: {true}." in told["verdict"]["headline"]
    assert f"Ruled out by probe: {other}." in told["verdict"]["headline"]
    page = Path("report-280-classes-postmortem.html").read_text()
    assert "confirmed by probe" in page
    assert "ruled out by probe" in page


def test_results_beside_the_run_are_found_where_they_belong_to_it(
    call: Call, tmp_path: Path
) -> None:
    import shutil

    shutil.copytree(SICK, tmp_path / "runs" / "sick")
    kept = tmp_path / "runs" / "sick-probe.json"
    strong = Evidence("head-init-scale", 3.0, "The logits are wide.")
    for run, used in (("sick", True), ("another", False), ("", False)):
        kept.write_text(json.dumps(document(probed(strong, run=run), "1")))
        _, out, err = call("diagnose", "runs/sick")
        assert ("confirmed by probe" in " ".join(out.split())) is used
        assert ("With the results of" in err) is used
    kept.write_text("{broken")
    code, out, err = call("diagnose", "runs/sick")
    assert code == 0
    assert "not used: cannot read probe results" in err


def test_what_is_confirmed_may_be_surer_than_a_log_alone() -> None:
    run = la.load(SICK)
    sure = la.diagnose(run, probe=probed(Evidence("head-init-scale", 9.0, "So it is.")))
    assert sure.causes[0].probability == 0.999
    assert sure.causes[0].probed == "confirmed"
    weak = la.diagnose(run, probe=probed(Evidence("head-init-scale", DECIDED - 0.1, "Perhaps.")))
    assert weak.causes[0].probed == ""


def test_evidence_for_an_unknown_cause_changes_nothing() -> None:
    run = la.load(SICK)
    plain_causes = la.diagnose(run).causes
    assert (
        la.diagnose(run, probe=probed(Evidence("no-such-cause", 5.0, "?"))).causes == plain_causes
    )


def test_korean_pages_name_it_too() -> None:
    strong = Evidence("head-init-scale", 3.0, "The logits are wide.")
    page = render_page(la.diagnose(la.load(SICK), probe=probed(strong)), lang="ko")
    assert "head-init-scale" in page


def test_recommended_takes_what_the_causes_ask_for_and_a_first_look_without_any() -> None:
    causes = la.diagnose(la.load(SICK)).causes
    assert recommended(causes)[0] == "init"
    assert recommended(()) == ["init", "overfit"]


def test_a_file_says_the_same_after_reading() -> None:
    made = probe(targets.healthy(), ["init", "gradients"])
    again = parsed(json.loads(json.dumps(plain(document(made, "1")))))
    assert again.subject == made.subject
    assert [r.evidence for r in again.results] == [r.evidence for r in made.results]
    assert [r.restored for r in again.results] == [r.restored for r in made.results]


def hostile() -> list[Any]:
    good = json.loads(json.dumps(plain(document(probe(targets.healthy(), ["init"]), "1"))))

    def changed(**fields: Any) -> Any:
        other = json.loads(json.dumps(good))
        other["results"][0].update(fields)
        return other

    weight = {"cause": "x", "text": "y", "weight": HEAVIEST + 1}
    bars = {"title": "", "drawn": "line", "curves": [{"label": "", "x": [1], "y": []}]}
    picture = {**good["results"][0]["figures"][0], "pictures": [{"caption": "", "png": "PHN2Zz4="}]}
    return [
        None, [], {}, "text", 1, {**good, "schema_version": 2}, {**good, "kind": "diagnosis"},
        {**good, "results": {}}, changed(outcome="won"), changed(evidence=[weight]),
        changed(evidence=[{**weight, "weight": "NaN"}]), changed(evidence=[{**weight, "weight": True}]),
        changed(summary=None), changed(figures=[bars]), changed(figures=[picture]),
        changed(measurements={"a": []}), changed(notes=["x"] * 6000), changed(seconds="soon"),
    ]  # fmt: skip


def test_a_hostile_file_is_unreadable_and_no_more(tmp_path: Path) -> None:
    for number, content in enumerate(hostile()):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(content))
        with pytest.raises(NothingReadable):
            read(path)
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(NothingReadable):
        read(tmp_path / "deep.json")


def test_the_file_keeps_its_schema() -> None:
    import jsonschema

    schema = json.loads((ROOT / "loganalyze" / "probe.schema.json").read_text())
    made = probe(targets.healthy(), ["init", "overfit", "gradients", "nan", "data"])
    jsonschema.Draft202012Validator(schema).validate(plain(document(made, "1")))
