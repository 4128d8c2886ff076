"""The outputs of a diff: strict JSON by its schema, a page as the report's, safe whatever the logs hold."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import loganalyze as la
from loganalyze.finding import Diagnosis
from loganalyze.report.diff_html import render
from loganalyze.report.diff_markdown import render as render_markdown
from tests.builders import make_run
from tests.compare.conftest import loss
from tests.report.conftest import Opened, axe
from tests.report.test_browser import EVIL

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "loganalyze" / "diff.schema.json").read_text("utf-8"))
Open = Callable[..., Opened]


@pytest.fixture(scope="module")
def diff() -> la.Diff:
    """Three runs: one as it should be, one worse by its rate, one that ends in NaN."""
    worse, broken = loss(1), loss(2)
    worse[200:] *= 1.8
    broken[400:] = np.nan
    rate = np.linspace(1e-3, 0, 600)
    a = make_run(
        loss=loss(0), lr=rate, eval_loss=loss(5)[::30], config={"lr": 1e-3, "api_key": "sk-1"}
    )
    b = make_run(
        loss=worse, lr=10 * rate, eval_loss=loss(6)[::30], config={"lr": 1e-2, "api_key": "sk-2"}
    )
    return la.diff(a, b, make_run(loss=broken, config={"lr": 1e-3}))


def test_the_json_fits_its_schema(diff: la.Diff) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    document = json.loads(diff.to_json())
    jsonschema.validate(document, SCHEMA)
    assert len(document["others"]) == 1
    assert "sk-1" not in diff.to_json()


@pytest.mark.parametrize("sample", ["healthy-hf", "crash", "nan-data", "overfit"])
def test_samples_beside_each_other_fit_the_schema(sample: str) -> None:
    base = la.load(ROOT / "sample_logs" / "healthy-pytorch")
    found = la.diff(base, la.load(ROOT / "sample_logs" / sample))
    jsonschema.validate(json.loads(found.to_json()), SCHEMA)
    assert found.to_text(verbose=True)
    assert render_markdown(found)


def test_the_page_makes_no_request_and_says_what_the_text_says(
    diff: la.Diff, open_page: Open, tmp_path: Path
) -> None:
    path = diff.to_html(tmp_path / "diff.html")
    opened = open_page(path)
    assert opened.page.locator("h1").count() == 1
    opened.page.mouse.wheel(0, 20_000)
    assert opened.complaints == []
    assert opened.requests == [f"file://{path}"]
    text = open_page(path, java_script_enabled=False).page.locator("body").text_content() or ""
    assert diff.verdict.headline in text
    for setting in diff.settings:
        assert setting.key in text
    for change in diff.findings:
        assert change.id in text
    assert "sk-1" not in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong(
    diff: la.Diff, open_page: Open, tmp_path: Path, scheme: str
) -> None:
    opened = open_page(diff.to_html(tmp_path / "diff.html"), color_scheme=scheme)
    opened.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert axe(opened) == []


def test_a_narrow_screen_scrolls_no_page(diff: la.Diff, open_page: Open, tmp_path: Path) -> None:
    path = diff.to_html(tmp_path / "diff.html")
    page = open_page(path, viewport={"width": 400, "height": 800}).page
    assert page.evaluate("document.documentElement.scrollWidth") == 400


def test_the_crosshair_reads_both_runs(diff: la.Diff, open_page: Open, tmp_path: Path) -> None:
    page = open_page(diff.to_html(tmp_path / "diff.html")).page
    figure = page.locator("#curves figure").first
    figure.locator(".plot").focus()
    page.keyboard.press("ArrowRight")
    readout = figure.locator("output").inner_text()
    assert re.search(r", A \S+ at step", readout)
    assert re.search(r", B \S+ at step", readout)


def test_every_figure_marks_where_the_curves_part(diff: la.Diff) -> None:
    page = render(diff)
    assert page.count("the curves part") >= 2
    assert "train/learning_rate: A, B, C" in page


def test_what_the_logs_hold_is_shown_and_not_obeyed(open_page: Open, tmp_path: Path) -> None:
    config = {EVIL: EVIL, "model": EVIL, "lr": EVIL}
    a = make_run(name=EVIL, config=config, loss=loss(0), **{EVIL: loss(1)})
    b = make_run(name=EVIL, config={"lr": 1, "model": EVIL}, loss=2 * loss(2), **{EVIL: loss(3)})
    found = la.diff(a, b)
    opened = open_page(found.to_html(tmp_path / "diff.html"))
    assert "pwned" not in opened.page.title() or "<script>" in opened.page.title()
    assert opened.page.locator("img").count() == 0
    assert opened.complaints == []
    assert "\x1b[2J" not in found.to_text()
    assert "<script>" not in render_markdown(found).replace("\\<script\\>", "")


def test_a_notebook_shows_a_card(diff: la.Diff) -> None:
    shown = diff._repr_html_()
    assert "B is worse" in shown
    assert "<script" not in shown
    assert " id=" not in shown
    assert repr(diff).startswith("<Diff of test and test, test: worse")


def test_a_page_in_korean_says_it_in_korean(diff: la.Diff) -> None:
    page = render(diff, lang="ko")
    assert '<html lang="ko">' in page
    for heading in ("설정", "지표", "곡선", "설명할 수 있는 것"):
        assert heading in page
    assert "Could explain" not in page


@pytest.mark.parametrize("align", ["epoch", "tokens", "time"])
def test_other_axes_are_drawn(align: str) -> None:
    config = {"batch_size": 8, "max_seq_length": 128, "train_samples": 800}
    random = np.random.default_rng(1)
    runs = [
        make_run(loss=loss(s), config=config, **{"perf/step_seconds": random.normal(1, 0.01, 600)})
        for s in (0, 1)
    ]
    found = la.diff(*runs, align=align)
    assert f">{align}</text>" in render(found)
    jsonschema.validate(json.loads(found.to_json()), SCHEMA)


def test_a_diagnosis_can_be_given(diff: la.Diff) -> None:
    assert isinstance(diff.a, Diagnosis)
    assert la.diff(diff.a, diff.b).verdict == diff.verdict
