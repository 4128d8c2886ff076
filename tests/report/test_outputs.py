"""Markdown, GitHub's annotations and JUnit: complete, short, harmless whatever the log says."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import loganalyze as la
from loganalyze.finding import Outcome, Severity
from loganalyze.report import github, junit, markdown
from loganalyze.run import Where

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = sorted(path.name for path in (ROOT / "sample_logs").iterdir() if path.is_dir())
EVIL = "<script>alert(1)</script> `x` *b* [a](http://evil) @someone %0A::error::\x1b[2J\x00\u202e\n# x ]]>"


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
    assert "\n# x" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text


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


def test_junit_is_well_formed_whatever_the_log_says(hostile) -> None:
    suite = ET.fromstring(junit.render(hostile)).find("testsuite")
    assert suite is not None
    failure = suite.find(f"testcase[@name='{hostile.findings[0].id}']/failure")
    assert failure is not None
    assert "<script>" in failure.attrib["message"]
