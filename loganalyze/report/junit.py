"""The checks as a JUnit report, which every CI server reads.

A check that found a warning or worse is a failure, one that passed a pass, one that could not judge is
skipped, one that broke an error. A finding of severity info is a pass with a note.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from loganalyze.finding import Outcome, Severity
from loganalyze.lang import ENGLISH
from loganalyze.lang.localized import localized
from loganalyze.lang.translation import label
from loganalyze.report.redact import redact, visible

if TYPE_CHECKING:
    from loganalyze.finding import Check, Diagnosis, Finding

UNTIMED = "0"  # seconds; some servers ask for them, and a report must not depend on them


def render(diagnosis: Diagnosis, *, lang: str = ENGLISH) -> str:
    """Return the XML document: one test suite, a test case for each check."""
    diagnosis = localized(diagnosis, lang)
    cases = [_case(check, diagnosis, lang) for check in diagnosis.checks]
    suite = ET.Element("testsuite", {
        "name": _text(f"loganalyze {diagnosis.run.name}"),
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": str(sum(case.find("error") is not None for case in cases)),
        "skipped": str(sum(case.find("skipped") is not None for case in cases)),
        "time": UNTIMED,
    })  # fmt: skip
    properties = ET.SubElement(suite, "properties")
    verdict = diagnosis.verdict
    told = {"verdict": verdict.level.value, "headline": verdict.headline, "run": diagnosis.run.path}
    told |= {f"cause.{cause.id}": f"{cause.probability:.2f}" for cause in diagnosis.causes}
    for name, value in told.items():
        ET.SubElement(properties, "property", {"name": name, "value": _text(value)})
    suite.extend(cases)
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _case(check: Check, diagnosis: Diagnosis, lang: str) -> ET.Element:
    case = ET.Element("testcase", {"classname": "loganalyze", "name": check.id, "time": UNTIMED})
    found = [f for f in diagnosis.findings if f.id == check.id]
    serious = [f for f in found if f.severity is not Severity.INFO]
    if serious:
        message = _text(serious[0].title)
        kind = {"message": message, "type": serious[0].severity.value}
        ET.SubElement(case, "failure", kind).text = "\n".join(_story(one, lang) for one in serious)
    elif check.outcome is Outcome.NOT_APPLICABLE:
        ET.SubElement(case, "skipped", {"message": _text(check.reason)})
    elif check.outcome is Outcome.ERROR:
        ET.SubElement(case, "error", {"message": _text(check.reason), "type": "error"})
    elif found:
        ET.SubElement(case, "system-out").text = "\n".join(_story(one, lang) for one in found)
    return case


def _story(finding: Finding, lang: str) -> str:
    lines = [finding.summary, *(label(f"at {where}", lang) for where in finding.where)]
    lines += [label(f"fix: {line}", lang) for line in finding.fix]
    return "\n".join(map(_text, lines))


def _text(text: str) -> str:
    """Return text without secrets and without what XML cannot hold."""
    return "".join(
        char if char in "\n\t" or " " <= char <= "\ud7ff" or "\ue000" <= char <= "\ufffd" or char > "\uffff"
        else "\ufffd"
        for char in visible(redact(text))
    )  # fmt: skip
