"""The report in Korean, in a browser: its own words are, in what is shown, said and drawn."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import loganalyze as la
from loganalyze.report.html import render
from loganalyze.report.interactive import explorer
from tests.report.conftest import ROOT, Opened, Report

Open = Callable[..., Opened]
Make = Callable[..., Report]
HANGUL = re.compile("[가-힣]")
# What stands in English on a Korean page: names, and terms of the field.
ENGLISH = {
    "loganalyze", "Accuracy", "Checkpoint", "Curve", "Epoch", "Gradient norm", "Learning rate", "Loss",
    "Loss scale", "Step", "step", "step {#}",
}  # fmt: skip
# Where text stands that is no word of the template: ids, settings, the log, citations.
VALUES = (
    "code, pre, td, svg, dd, script, style, .run, .bar-name, .tick, .toc ol ol, .where, .changes, .advice, .evidence th, "
    ".meta a"
)
WORDS = """values => [...document.querySelectorAll("body *")]
    .filter(node => !node.closest(values) && !node.querySelector(values))
    .flatMap(node => [...node.childNodes].filter(n => n.nodeType === 3).map(n => n.textContent.trim()))
    .concat([...document.querySelectorAll("[aria-label], [title], [placeholder]")].filter(node => !node.closest(values)).flatMap(node =>
        ["aria-label", "title", "placeholder"].map(name => node.getAttribute(name) || "")))"""


def words(opened: Opened) -> list[str]:
    """Return the words on the page that are not Korean and not known to be English."""
    found: Any = opened.page.evaluate(WORDS, VALUES)
    shapes = {text: re.sub(r"\d[\d,.]*", "{#}", text) for text in found}
    return sorted(
        text
        for text, shape in shapes.items()
        if re.search("[A-Za-z]{2}", text) and not HANGUL.search(text) and shape not in ENGLISH
    )


@pytest.mark.parametrize("sample", ["report-280-classes", "crash", "healthy-hf"])
def test_no_word_of_the_template_is_left_in_english(
    sample: str, report_of: Make, open_page: Open
) -> None:
    opened = open_page(report_of(sample, "ko").path)
    assert opened.complaints == []
    assert opened.page.evaluate("document.documentElement.lang") == "ko"
    assert "\n".join(words(opened)) == ""


def test_english_words_would_be_seen(report_of: Make, open_page: Open) -> None:
    assert "Findings" in words(open_page(report_of("crash").path))


def test_the_script_speaks_korean(report_of: Make, open_page: Open) -> None:
    page = open_page(report_of("report-280-classes", "ko").path).page
    assert page.locator(".copy-button").first.text_content() == "복사"
    page.locator("figure .plot").first.press("ArrowRight")
    assert "· step" in (page.locator("figure output").first.text_content() or "")


def test_the_section_to_explore_is_korean_and_draws(tmp_path: Path, open_page: Open) -> None:
    diagnosis = la.diagnose(la.load(ROOT / "sample_logs" / "crash"))
    path = tmp_path / "x.html"
    path.write_text(render(diagnosis, explorer(diagnosis, lang="ko"), lang="ko"), encoding="utf-8")
    opened = open_page(path)
    opened.page.locator("#explorer-scale").select_option("log")
    assert opened.page.locator("#explorer-scale option").all_text_contents() == ["선형", "로그"]
    assert opened.complaints == []
