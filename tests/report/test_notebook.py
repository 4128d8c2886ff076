"""What a notebook shows: complete, harmless, and fit to stand there more than once."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

import loganalyze as la
from loganalyze.frame import METRIC_COLUMNS
from loganalyze.run import Where
from tests.builders import make_run

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = sorted(path.name for path in (ROOT / "sample_logs").iterdir() if path.is_dir())
TUTORIAL = ROOT / "docs" / "tutorial.ipynb"
EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)> {{ 7 * 7 }} \u202e \x1b[2J \"'&"


class Cell(HTMLParser):
    """Checks that a piece of HTML is well nested, and collects what it holds."""

    VOID = frozenset({"br", "img", "meta", "link", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}
        self.text += " " if tag in {"th", "td"} else ""
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


@pytest.mark.parametrize("name", SAMPLES)
def test_verdict_causes_and_findings_are_shown(name: str) -> None:
    diagnosis = la.diagnose(la.load(ROOT / "sample_logs" / name))
    cell = Cell(diagnosis._repr_html_())
    assert diagnosis.verdict.headline in cell.text
    for cause in diagnosis.causes[:3]:
        assert f"{cause.id}, {cause.probability:.0%}" in cell.text
        for clue in cause.clues:
            assert clue.text in cell.text
    for finding in diagnosis.findings:
        assert finding.summary in cell.text
        assert set(finding.evidence) <= set(cell.text.split())
    assert "train/loss" in cell.text


def test_several_of_them_do_not_meet() -> None:
    sick = la.diagnose(la.load(ROOT / "sample_logs" / "report-280-classes"))
    text = sick._repr_html_()
    cell = Cell(text + la.diagnose(make_run(loss=[2.0, 1.9]))._repr_html_())
    assert "id" not in cell.attributes
    assert not cell.tags & {"script", "link", "iframe", "img", "svg"}
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    selectors = [part for rule in re.findall(r"([^{}]+)\{", style) for part in rule.split(",")]
    assert selectors
    assert all(part.strip().startswith(".loganalyze-diagnosis") for part in selectors)
    assert "url(" not in style
    assert text == sick._repr_html_()


def test_what_a_log_says_is_text() -> None:
    sick = la.diagnose(la.load(ROOT / "sample_logs" / "report-280-classes"))
    finding = dataclasses.replace(
        sick.findings[0], summary=EVIL, title=EVIL, evidence={EVIL: EVIL, "api_key": "token=hunter2hunter2"},
        where=(Where(EVIL, 1),),
    )  # fmt: skip
    cause = dataclasses.replace(sick.causes[0], title=EVIL, fix=(EVIL,), undecided=EVIL)
    run = dataclasses.replace(sick.run, name=EVIL + "x" * 1_000_000)
    hostile = dataclasses.replace(
        sick, run=run, findings=(finding,), causes=(cause,),
        verdict=dataclasses.replace(sick.verdict, headline=EVIL),
    )  # fmt: skip
    text = hostile._repr_html_()
    cell = Cell(text)
    assert not cell.tags & {"script", "img"}
    assert not {name for name in cell.attributes if name.startswith("on")}
    assert not set(text) & {"\u202e", "\x1b"}
    assert "hunter2" not in text
    assert "{{ 7 * 7 }}" in cell.text
    assert len(text) < 100_000


def test_forty_findings_are_cut_and_counted() -> None:
    sick = la.diagnose(la.load(ROOT / "sample_logs" / "report-280-classes"))
    text = dataclasses.replace(sick, findings=sick.findings * 10)._repr_html_()
    assert "and 28 more in" in text


def test_print_shows_what_the_terminal_shows_and_repr_is_a_line() -> None:
    diagnosis = la.diagnose(la.load(ROOT / "sample_logs" / "spike"))
    assert str(diagnosis).startswith("■ WARNING  At step 430")
    assert repr(diagnosis) == "<Diagnosis of spike: warning, 1 findings, 1 causes>"


def test_metrics_are_a_plain_table() -> None:
    metrics = la.load(ROOT / "sample_logs" / "spike").metrics
    assert type(metrics) is pd.DataFrame
    assert tuple(metrics.columns) == METRIC_COLUMNS
    assert isinstance(metrics.index, pd.RangeIndex)
    wide = metrics.pivot_table(index="step", columns="metric", values="value", observed=True)
    assert wide["train/loss"].idxmax() == 430


@pytest.fixture(scope="module")
def tutorial() -> nbformat.NotebookNode:
    return nbformat.read(TUTORIAL, as_version=4)


def test_the_tutorial_carries_no_output(tutorial: nbformat.NotebookNode) -> None:
    nbformat.validate(tutorial)
    for cell in tutorial.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
    assert TUTORIAL.stat().st_size < 10_000


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_the_tutorial_runs_from_loading_to_the_report(
    tutorial: nbformat.NotebookNode, tmp_path: Path
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "sample_logs").symlink_to(ROOT / "sample_logs")
    resources = {"metadata": {"path": str(tmp_path / "docs")}}
    NotebookClient(tutorial, timeout=300, kernel_name="python3", resources=resources).execute()
    shown = [output for cell in tutorial.cells for output in cell.get("outputs", [])]
    assert any("loganalyze-diagnosis" in o.get("data", {}).get("text/html", "") for o in shown)
    assert any("initial-loss-high" in o.get("text", "") for o in shown)
    page = tmp_path / "docs" / "postmortem.html"
    assert 'content="loganalyze' in page.read_text("utf-8")
