"""Markdown, GitHub's annotations and JUnit: complete, short, harmless whatever the log says."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest
import xmlschema

import loganalyze as la
from loganalyze.finding import Outcome, Severity
from loganalyze.report import github, junit, markdown
from loganalyze.run import Where
from tests.builders import make_run

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = sorted(path.name for path in (ROOT / "sample_logs").iterdir() if path.is_dir())
SCHEMA = json.loads((ROOT / "loganalyze" / "diagnosis.schema.json").read_text("utf-8"))
JUNIT = xmlschema.XMLSchema(Path(__file__).with_name("junit.xsd"))
EVIL = "<script>alert(1)</script> `x` *b* [a](http://evil) @someone #12 %0A::error::\x1b[2J\x00\u202e\n# x ]]>"


@pytest.fixture(scope="module", params=SAMPLES)
def diagnosis(request):
    return la.diagnose(la.load(ROOT / "sample_logs" / request.param))


@pytest.fixture(scope="module")
def sick():
    return la.diagnose(la.load(ROOT / "sample_logs" / "report-280-classes"))


@pytest.fixture
def hostile(sick):
    first = dataclasses.replace(
        sick.findings[0], title=EVIL, summary=EVIL, where=(Where("a,b:c\n.log", 3),), fix=(EVIL,)
    )
    run = dataclasses.replace(sick.run, name=EVIL, path=EVIL)
    return dataclasses.replace(sick, run=run, findings=(first, *sick.findings[1:]))


@pytest.fixture
def crowded(sick):
    """Forty findings, the most severe first, as a diagnosis holds them."""
    severities = sorted(Severity, key=lambda severity: -severity.rank)
    many = tuple(
        dataclasses.replace(sick.findings[0], severity=severities[n // 14], summary=f"Finding {n}.")
        for n in range(40)
    )
    return dataclasses.replace(sick, findings=many)


@pytest.fixture
def scanty():
    return la.diagnose(make_run(loss=[2.0, 1.9]))


@pytest.fixture(params=["sick", "hostile", "crowded", "scanty", "silent"])
def odd(request, sick):
    """Any diagnosis that an output may be given."""
    if request.param == "silent":
        return dataclasses.replace(sick, findings=(), causes=(), checks=())
    return request.getfixturevalue(request.param)


def test_every_output_takes_every_diagnosis(odd) -> None:
    jsonschema.validate(json.loads(odd.to_json()), SCHEMA)
    assert len(markdown.render(odd).splitlines()) <= 25
    assert 1 <= len(re.findall(r"^::", github.render(odd), re.MULTILINE)) <= 10
    assert JUNIT.is_valid(junit.render(odd)), list(JUNIT.iter_errors(junit.render(odd)))


def test_markdown_is_short_and_begins_with_the_verdict(diagnosis) -> None:
    lines = markdown.render(diagnosis).splitlines()
    assert len(lines) <= 25
    assert diagnosis.verdict.level.value.upper() in lines[0]
    for cause in diagnosis.causes[:3]:
        assert f"`{cause.id}`" in "\n".join(lines)


def test_markdown_shows_what_a_log_says_as_text(hostile) -> None:
    text = markdown.render(hostile)
    assert r"\<script\>" in text
    assert r"\[a\](http\://evil)" in text
    assert "@\u200bsomeone" in text
    assert "\\#\u200b12" in text
    assert "\n# x" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_markdown_of_forty_findings_counts_those_it_leaves_out(crowded) -> None:
    text = markdown.render(crowded)
    shown = text.count("Finding ")
    assert 3 <= shown <= 7
    assert f"- and {40 - shown} more\n" in text
    assert markdown.rest(crowded).count("\n") == 40 - shown


def test_of_forty_findings_the_ten_most_severe_are_annotated(crowded, tmp_path) -> None:
    lines = github.render(crowded).splitlines()
    assert len(lines) == 11
    assert all(line.startswith("::error ") for line in lines[:10])
    assert lines[10] == "30 more findings are in the summary."
    github.write_summary(crowded, tmp_path / "summary.md")
    summary = (tmp_path / "summary.md").read_text()
    assert all(f"Finding {n}." in summary for n in range(40))


def test_a_summary_stays_below_what_github_takes(sick, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(github, "SUMMARY_LIMIT", 1_000)
    path = tmp_path / "summary.md"
    path.write_text("x" * 900)
    github.write_summary(sick, path)
    assert 990 < path.stat().st_size <= 1_000
    path.read_text("utf-8")
    github.write_summary(sick, path)
    assert path.stat().st_size <= 1_000


def test_each_finding_is_one_annotation_with_its_level_and_place(sick) -> None:
    lines = github.render(sick).splitlines()
    assert len(lines) == len(sick.findings)
    assert lines[0].startswith("::error file=")
    assert "sample_logs/report-280-classes/train.log,line=1,title=initial-loss-high%3A " in lines[0]
    levels = {"error": Severity.CRITICAL, "warning": Severity.WARNING, "notice": Severity.INFO}
    for line, finding in zip(lines, sick.findings, strict=True):
        assert levels[line.split()[0].strip(":")] is finding.severity


def test_a_run_that_is_one_file_is_that_file_and_a_healthy_one_a_notice() -> None:
    path = ROOT / "sample_logs" / "crash" / "train.log"
    text = github.render(la.diagnose(la.load(path)))
    assert f"::error file={path},line=" in text
    healthy = la.diagnose(la.load(ROOT / "sample_logs" / "healthy-stdout"))
    assert re.fullmatch(r"::notice title=loganalyze::.+\n", github.render(healthy))


def test_a_record_of_a_file_is_not_shown_as_a_line() -> None:
    text = github.render(la.diagnose(la.load(ROOT / "sample_logs" / "nan-filtered")))
    assert "trainer_state.json,title=grad-nonfinite" in text
    assert "line=" not in text


def test_no_command_can_be_smuggled_into_an_annotation(hostile) -> None:
    lines = github.render(hostile).splitlines()
    assert len(lines) == len(hostile.findings)
    place, message = lines[0].removeprefix("::error ").split("::", 1)
    assert "title=" in place
    assert message.startswith("<script>")
    assert "%250A::error" in lines[0]
    assert "file=" in lines[0]
    assert "a%2Cb%3Ac%0A.log" in lines[0]


def test_the_summary_is_appended(sick, tmp_path) -> None:
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    github.write_summary(sick, path)
    text = path.read_text()
    assert text.startswith("before\n### loganalyze: report-280-classes")
    assert "**Findings**" in text


def test_junit_counts_what_the_checks_came_to(diagnosis) -> None:
    suite = ET.fromstring(junit.render(diagnosis)).find("testsuite")
    assert suite is not None
    serious = {f.id for f in diagnosis.findings if f.severity is not Severity.INFO}
    outcomes = [check.outcome for check in diagnosis.checks]
    assert int(suite.attrib["tests"]) == len(outcomes) == len(suite.findall("testcase"))
    assert int(suite.attrib["failures"]) == len(serious)
    assert int(suite.attrib["skipped"]) == outcomes.count(Outcome.NOT_APPLICABLE)
    assert {
        c.attrib["name"] for c in suite.findall("testcase") if c.find("failure") is not None
    } == serious


def test_junit_has_the_shape_that_servers_read(diagnosis) -> None:
    JUNIT.validate(junit.render(diagnosis))
    assert not JUNIT.is_valid(junit.render(diagnosis).replace("testcase", "case"))


def test_junit_is_well_formed_whatever_the_log_says(hostile) -> None:
    suite = ET.fromstring(junit.render(hostile)).find("testsuite")
    assert suite is not None
    failure = suite.find(f"testcase[@name='{hostile.findings[0].id}']/failure")
    assert failure is not None
    assert "<script>" in failure.attrib["message"]
