"""The report as a reader meets it: in a browser, with and without JavaScript, on paper, by keyboard."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import loganalyze as la
from loganalyze.report.html import render
from loganalyze.run import Event, EventKind, Source, Where
from tests.builders import make_run
from tests.report.conftest import SAMPLES, Opened, Report, axe

Open = Callable[..., Opened]
Make = Callable[[str], Report]
EVIL = "<script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\"> $\\frac{1}{2}$ \u202e \x1b[2J \"'&"


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_sample_opens_without_a_word_or_a_request(
    sample: str, report_of: Make, open_page: Open
) -> None:
    made = report_of(sample)
    opened = open_page(made.path)
    assert opened.page.locator("h1").count() == 1
    opened.page.mouse.wheel(0, 20_000)
    assert opened.complaints == []
    assert opened.requests == [f"file://{made.path}"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("sample", SAMPLES)
def test_axe_finds_nothing_wrong(
    sample: str, scheme: str, report_of: Make, open_page: Open
) -> None:
    assert axe(open_page(report_of(sample).path, color_scheme=scheme)) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong_in_folded_parts(
    scheme: str, report_of: Make, open_page: Open
) -> None:
    opened = open_page(report_of("crash").path, color_scheme=scheme)
    opened.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert axe(opened) == []
    opened.page.evaluate("document.querySelector('h1').style.color = 'var(--grid)'")
    assert [line for line in axe(opened) if line.startswith("color-contrast")]


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_figure_says_what_it_shows(sample: str, report_of: Make, open_page: Open) -> None:
    page = open_page(report_of(sample).path).page
    figures: Any = page.evaluate("""() => [...document.querySelectorAll("svg")].map(svg =>
        svg.getAttribute("aria-labelledby").split(" ").map(id => document.getElementById(id).textContent))""")
    assert figures
    for name, description in figures:
        assert name.strip()
        assert re.search(r"\d[\d,]* points", description)


@pytest.mark.parametrize("sample", ["report-280-classes", "healthy-hf", "crash"])
def test_without_javascript_the_text_is_complete(
    sample: str, report_of: Make, open_page: Open
) -> None:
    made = report_of(sample)
    page = open_page(made.path, java_script_enabled=False).page
    text = page.locator("body").text_content() or ""
    diagnosis = made.diagnosis
    assert diagnosis.verdict.headline in text
    for finding in diagnosis.findings:
        assert finding.summary in text
    for cause in diagnosis.causes:
        assert all(clue.text in text for clue in cause.clues)
    for check in diagnosis.checks:
        assert check.id in text
    for key, item in diagnosis.run.config.items():
        assert key in text
        assert item.where in text
    assert page.locator("#theme").is_hidden()
    for summary in page.locator("summary").all():
        assert summary.is_visible()


def test_the_verdict_is_seen_without_scrolling(report_of: Make, open_page: Open) -> None:
    for sample in ("report-280-classes", "nan-data", "overfit", "crash"):
        page = open_page(report_of(sample).path, viewport={"width": 1280, "height": 720}).page
        for selector in (".level", "h1", ".facts", ".answer.first h3", ".answer.first .fix"):
            box = page.locator(selector).first.bounding_box()
            assert box is not None
            assert box["y"] + box["height"] <= 720, (sample, selector)


def test_the_crosshair_reads_exact_values_in_all_figures(report_of: Make, open_page: Open) -> None:
    made = report_of("spike")
    page = open_page(made.path).page
    loss = page.locator("#glance figure").first
    loss.scroll_into_view_if_needed()
    box = loss.locator("svg").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    readout = loss.locator("output").inner_text()
    found = re.match(r"train/loss (\S+) at step ([\d,]+)", readout)
    assert found is not None, readout
    step = int(found[2].replace(",", ""))
    series = made.diagnosis.run.series("train/loss")
    logged = float(series.value[series.step.tolist().index(step)])
    assert float(found[1]) == pytest.approx(logged, rel=1e-7)
    others = page.locator("#glance figure output").all_inner_texts()
    assert all("at step" in text for text in others)
    assert page.locator("#glance path.hair").count() == len(others)


def test_the_crosshair_moves_by_keyboard(report_of: Make, open_page: Open) -> None:
    page = open_page(report_of("report-280-classes").path).page
    page.locator("#glance .plot").first.focus()
    page.keyboard.press("ArrowRight")
    first = page.locator("#glance output").first.inner_text()
    page.keyboard.press("ArrowRight")
    second = page.locator("#glance output").first.inner_text()
    assert "at step 2" in first
    assert "at step 3" in second
    assert page.locator("#glance output").first.get_attribute("aria-live") == "polite"


def test_copy_puts_the_new_setting_on_the_clipboard(report_of: Make, open_page: Open) -> None:
    opened = open_page(
        report_of("warmup-too-long").path, permissions=["clipboard-read", "clipboard-write"]
    )
    page = opened.page
    page.locator(".answer.first .copy-button").first.click()
    page.get_by_text("Copied").first.wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "warmup_ratio=0.03"


def test_findings_are_filtered_by_severity(report_of: Make, open_page: Open) -> None:
    page = open_page(report_of("report-280-classes").path).page
    assert page.locator(".finding.warning").first.is_visible()
    page.locator("#filter input[value=warning]").uncheck()
    assert page.locator(".finding.warning").first.is_hidden()
    assert page.locator(".finding.critical").first.is_visible()
    page.locator("#filter input[value=warning]").check()
    assert page.locator(".finding.warning").first.is_visible()


def test_light_and_dark_follow_the_system_and_the_toggle_is_remembered(
    report_of: Make, open_page: Open
) -> None:
    def background(page: Any) -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    path = report_of("spike").path
    light, dark = (open_page(path, color_scheme=scheme).page for scheme in ("light", "dark"))
    assert background(light) != background(dark)
    light.locator("#theme").click()
    assert background(light) == background(dark)
    light.reload()
    assert background(light) == background(dark)
    head = light.evaluate(
        "[...document.scripts].findIndex(s => s.text.includes('loganalyze-theme')) < "
        "[...document.head.children].findIndex(e => e.tagName === 'STYLE')"
    )
    assert head


def test_paper_is_light_and_holds_what_was_folded(report_of: Make, open_page: Open) -> None:
    pypdf = pytest.importorskip("pypdf")
    made = report_of("report-280-classes")
    page = open_page(made.path, color_scheme="dark", java_script_enabled=False).page
    pages = pypdf.PdfReader(io.BytesIO(page.pdf())).pages
    text = " ".join(re.sub(r"\s+", " ", one.extract_text()) for one in pages)
    for check in made.diagnosis.checks:
        assert check.id in text
    assert "gradient_accumulation_steps" in text  # of the folded configuration
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator(".toc").is_hidden()


def test_a_narrow_screen_needs_no_sideways_scrolling(report_of: Make, open_page: Open) -> None:
    for sample in ("report-280-classes", "healthy-hf", "crash"):
        page = open_page(report_of(sample).path, viewport={"width": 400, "height": 800}).page
        assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_the_keyboard_reaches_everything(report_of: Make, open_page: Open) -> None:
    page = open_page(report_of("overfit").path).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.url.endswith("#verdict")
    page.locator("#checks summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("#checks details").first.get_attribute("open") is not None


def test_a_link_into_a_folded_part_opens_it(report_of: Make, open_page: Open) -> None:
    page = open_page(report_of("overfit").path, fragment="#e-evaluation-3").page
    assert page.locator("#e-evaluation-3").is_visible()
    page.locator(".tick.evaluation").first.click()
    assert page.url.endswith("#e-evaluation-1")


def test_hostile_strings_stand_there_as_text_and_do_nothing(
    tmp_path: Path, open_page: Open
) -> None:
    long = "x" * 1_000_000
    event = Event(EventKind.TRACEBACK, f"Traceback\n{EVIL}\n{long}", Where("train.log", 7), 60, None,
                  {"exception": EVIL, "message": EVIL, "frame": EVIL})  # fmt: skip
    curves = {
        "loss": np.linspace(2, 1, 60),
        f"eval/{EVIL}": np.ones(60),
        f"train/{long}": np.ones(60),
    }
    run = make_run(
        events=[event], config={EVIL: EVIL, f"tag/{EVIL}": EVIL, "password": "hunter2hunter2"}, name=EVIL,
        sources=[Source("train.log", "text", 60, metrics=(EVIL, long)), Source(EVIL, "text", 3)], **curves,
    )  # fmt: skip
    path = tmp_path / "evil.html"
    path.write_text(render(la.diagnose(run)), encoding="utf-8")
    opened = open_page(path)
    assert opened.complaints == []
    assert opened.requests == [f"file://{path}"]
    page = opened.page
    assert "training postmortem" in page.title()
    text = page.locator("body").text_content() or ""
    assert "<script>document.title='pwned'</script>" in text
    assert "$\\frac{1}{2}$" in text
    assert "\u202e" not in text
    assert "hunter2" not in text
    assert page.locator("body img").count() == 0
    assert path.stat().st_size < 1_000_000
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
