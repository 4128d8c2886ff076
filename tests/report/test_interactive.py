"""The section to explore: zoom, hover, scale and smoothing, and still no request."""

from __future__ import annotations

import base64
import builtins
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import loganalyze as la
from loganalyze.errors import UsageError
from loganalyze.report.html import render
from tests.builders import make_run
from tests.report.conftest import ROOT, Opened, axe

interactive = pytest.importorskip("loganalyze.report.interactive")
pytest.importorskip("bokeh")

DRAWN = "() => document.getElementById('explorer-plot').dataset.drawn"
RANGE = "() => { const r = Bokeh.documents.at(-1).roots()[0].x_range; return [r.start, r.end]; }"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    diagnosis = la.diagnose(la.load(ROOT / "sample_logs" / "healthy-pytorch"))
    target = tmp_path_factory.mktemp("interactive") / "report.html"
    target.write_text(render(diagnosis, interactive.explorer(diagnosis)), encoding="utf-8")
    return target


@pytest.fixture
def opened(path: Path, open_page: Callable[..., Opened]) -> Opened:
    found = open_page(path)
    found.page.wait_for_function(DRAWN)
    found.page.locator("#explorer-plot").scroll_into_view_if_needed()
    return found


def _range(opened: Opened) -> Any:
    return opened.page.evaluate(RANGE)


def _zoom(opened: Opened) -> None:
    box = opened.page.locator("#explorer-plot").bounding_box()
    assert box is not None
    mouse = opened.page.mouse
    mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 60)
    mouse.down()
    mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 250, steps=5)
    mouse.up()


def test_every_script_is_allowed_by_its_hash_and_the_page_stays_below_two_megabytes(
    path: Path,
) -> None:
    text = path.read_text("utf-8")
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == 5
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in text
    assert "unsafe-eval" not in text.split("</head>")[0]
    assert len(text) < 2_000_000


def test_it_draws_without_a_word_or_a_request(opened: Opened, path: Path) -> None:
    assert axe(opened) == []
    assert opened.complaints == []
    assert opened.requests == [f"file://{path}"]


def test_a_drag_zooms_in_and_the_part_stays_when_the_scale_changes(opened: Opened) -> None:
    whole = _range(opened)
    _zoom(opened)
    opened.page.wait_for_function(f"() => ({RANGE})()[0] > {whole[0]}")
    part = _range(opened)
    assert whole[0] < part[0] < part[1] < whole[1]
    opened.page.select_option("#explorer-scale", "log")
    opened.page.wait_for_function(
        "() => Bokeh.documents.at(-1).roots()[0].y_scale.type === 'LogScale'"
    )
    opened.page.wait_for_timeout(300)
    assert _range(opened) == pytest.approx(part)
    assert opened.complaints == []


def test_hovering_shows_what_was_logged(opened: Opened) -> None:
    box = opened.page.locator("#explorer-plot").bounding_box()
    assert box is not None
    opened.page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 150)
    tip = opened.page.locator(".bk-tooltip-content").first
    tip.wait_for()
    assert re.search(r"train/loss\s+step:\s+\d+\s+logged:\s+\d", tip.inner_text())


def test_curves_are_chosen_smoothed_and_found(opened: Opened) -> None:
    page = opened.page
    boxes = page.locator("#explorer-curves input")
    assert boxes.count() > 4  # several metrics, each of several sources
    before = int(page.evaluate(DRAWN))
    page.locator("#explorer-curves input:not(:checked)").first.check()
    page.wait_for_function(f"() => ({DRAWN})() == {before + 1}")
    page.locator("#explorer-smooth").fill("0.9")
    page.get_by_text("beta 0.9", exact=True).wait_for()
    page.locator("#explorer-find").fill("grad_norm")
    labels = page.locator("#explorer-curves label:visible").all_inner_texts()
    assert labels
    assert all("grad_norm" in label for label in labels)
    assert opened.complaints == []


def test_the_figure_follows_the_theme(opened: Opened) -> None:
    colour = "() => Bokeh.documents.at(-1).roots()[0].background_fill_color"
    light = opened.page.evaluate(colour)
    opened.page.locator("#theme").click()
    opened.page.wait_for_function(f"() => ({colour})() !== '{light}'")


def test_every_start_and_source_is_there() -> None:
    run = make_run(
        loss=[3, 2, 1, 2.5, 1.5, 1], steps={"loss": [1, 2, 3, 2, 3, 4]},
        segments={"loss": [0, 0, 0, 1, 1, 1]}, eval_loss=[2.0, np.nan],
    )  # fmt: skip
    curves = list(interactive.every_curve(run))
    assert [(c.metric, c.segment, c.step.tolist()) for c in curves] == [
        ("train/loss", 0, [1, 2, 3]),
        ("train/loss", 1, [2, 3, 4]),
        ("eval/loss", 0, [1, 2]),
    ]


def test_the_same_run_makes_the_same_section() -> None:
    diagnosis = la.diagnose(make_run(loss=np.linspace(2, 1, 5000)))
    assert interactive.explorer(diagnosis) == interactive.explorer(diagnosis)


def test_hostile_names_are_text(tmp_path: Path, open_page: Callable[..., Opened]) -> None:
    evil = "<img src=x onerror=\"document.title='pwned'\">$$\\frac{1}{2}$$\u202e"
    run = make_run(loss=np.linspace(2, 1, 40), **{f"eval/{evil}": np.ones(40)})
    diagnosis = la.diagnose(run)
    target = tmp_path / "evil.html"
    target.write_text(render(diagnosis, interactive.explorer(diagnosis)), encoding="utf-8")
    opened = open_page(target)
    opened.page.wait_for_function(DRAWN)
    for box in opened.page.locator("#explorer-curves input").all():
        box.check()
    opened.page.wait_for_function(f"() => ({DRAWN})() == 2")
    frame = opened.page.locator("#explorer-plot").bounding_box()
    assert frame is not None
    opened.page.mouse.move(frame["x"] + 0.5 * frame["width"], frame["y"] + 150)
    opened.page.wait_for_timeout(300)
    assert opened.complaints == []
    assert opened.requests == [f"file://{target}"]
    assert "pwned" not in opened.page.title()


def test_without_bokeh_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("bokeh"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"loganalyze\[interactive\]"):
        interactive.explorer(la.diagnose(make_run(loss=[2, 1])))
