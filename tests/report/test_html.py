"""The page: complete, offline, deterministic, and harmless whatever the log says."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import loganalyze as la
from loganalyze.report.envelope import envelope
from loganalyze.report.html import render
from loganalyze.run import Event, EventKind, Where
from tests.builders import make_run

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = sorted(path.name for path in (ROOT / "sample_logs").iterdir() if path.is_dir())
EVIL = "<script>alert(1)</script> $\\frac{1}{2}$ \u202e \x1b[2J \"'&"


class Page(HTMLParser):
    """Collects ids, links, external references and headings of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.external: list[str] = []
        self.headings: list[int] = []
        self.scripts = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        for name, value in attributes:
            value = value or ""
            if name == "id":
                self.ids.append(value)
            if name in {"src", "href", "xlink:href", "action", "data", "poster"}:
                (self.links if value.startswith("#") else self.external).append(value)
            assert not name.startswith("on"), f"{name} on {tag}"


@pytest.fixture(scope="module", params=SAMPLES)
def page(request: pytest.FixtureRequest) -> str:
    return render(la.diagnose(la.load(ROOT / "sample_logs" / request.param)))


def test_it_refers_to_nothing_outside(page: str) -> None:
    parsed = Page(page)
    assert parsed.external == []
    assert re.findall(r"url\((?!#)", page) == []
    assert "@import" not in page


def test_ids_are_unique_and_every_link_resolves(page: str) -> None:
    parsed = Page(page)
    assert len(parsed.ids) == len(set(parsed.ids))
    assert {link[1:] for link in parsed.links} <= set(parsed.ids)
    references = set(re.findall(r"url\(#([^)]+)\)", page))
    assert references <= set(parsed.ids)


def test_the_policy_allows_our_small_scripts_and_nothing_else(page: str) -> None:
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    assert "default-src 'none'" in policy[1]
    assert re.findall(r"'sha256-([^']+)'", policy[1]) == digests
    assert sum(map(len, scripts)) <= 3_000


def test_headings_are_in_order_and_there_is_one_title(page: str) -> None:
    levels = Page(page).headings
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_figure_has_a_name_and_a_description(page: str) -> None:
    figures = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    for figure in figures:
        assert 'role="img"' in figure
        assert re.search(r"<title[^>]*>\S", figure)
        assert re.search(r"<desc[^>]*>\S", figure)


def test_the_embedded_json_is_the_diagnosis(page: str) -> None:
    found = re.search(r'id="loganalyze-diagnosis">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    document = json.loads(found[1])
    assert document["schema_version"] == 1
    for finding in document["findings"]:
        assert f'id="f-{finding["id"]}-1"' in page


def test_a_page_is_small_and_the_same_twice(page: str) -> None:
    assert len(page) < 1_000_000
    again = la.diagnose(la.load(ROOT / "sample_logs" / "spike"))
    assert render(again) == render(again)


def test_hostile_strings_are_text_and_do_nothing() -> None:
    event = Event(EventKind.TRACEBACK, f"Traceback\n{EVIL}\n" + "x" * 1_000_000, Where(EVIL, 7), 60,
                  None, {"exception": EVIL, "message": EVIL, "frame": EVIL})  # fmt: skip
    curves = {"loss": np.linspace(2, 1, 60), f"eval/{EVIL}": np.ones(60)}
    run = make_run(
        events=[event], config={EVIL: EVIL, "api_key": "hunter2hunter2"}, name=EVIL, **curves
    )
    text = render(la.diagnose(run))
    parsed = Page(text)
    assert parsed.scripts == 4  # two of ours, two that hold JSON
    assert "<script>alert" not in text
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert "hunter2" not in text
    assert len(text) < 1_000_000


def test_runs_without_numbers_and_with_only_nan_make_a_page() -> None:
    event = Event(EventKind.TRACEBACK, "Traceback\nValueError: x", Where("train.log", 1), None,
                  None, {"exception": "ValueError", "message": "x", "frame": "a.py:1"})  # fmt: skip
    for run in (make_run(events=[event]), make_run(loss=np.full(30, np.nan)), make_run(loss=[np.inf, 1, 2, 3, -np.inf])):  # fmt: skip
        assert "<h1" in render(la.diagnose(run))


def test_a_million_points_stay_below_a_megabyte_and_are_said_to_be_thinned() -> None:
    n = 1_000_000
    loss = 1 + np.exp(-np.arange(n) / 1e5) + np.random.default_rng(0).normal(0, 0.02, n)
    loss[700_000], loss[900_000] = 50.0, np.nan
    text = render(
        la.diagnose(make_run(loss=loss, grad_norm=np.ones(n), lr=np.linspace(1e-3, 0, n)))
    )
    assert len(text) < 1_000_000
    assert "1,000,000 points, drawn as" in text
    found = re.search(r'id="loganalyze-points">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    _, steps, values = next(curve for curve in json.loads(found[1]) if curve[0] == "train/loss")
    points = dict(zip(steps, values, strict=True))
    assert (points[700_001], points[900_001]) == (50.0, "NaN")  # steps count from 1


@pytest.mark.parametrize("n", [0, 1, 2, 10, 999, 5000])
def test_thinning_keeps_every_extreme_gap_and_cited_point(n: int) -> None:
    rng = np.random.default_rng(n)
    values = rng.normal(0, 1, n)
    if n > 100:
        values[50:60] = np.nan
        values[70] = 99
        values[71] = -99
        values[80] = np.inf
    kept = envelope(values, 50, keep=[n // 3] if n else [])
    assert (np.diff(kept) > 0).all()
    if n > 100:
        assert {0, n - 1, 50, 59, 70, 71, 80, n // 3} <= set(kept.tolist())
        assert len(kept) <= 2 * 50 + 20


def _luminance(colour: str) -> float:
    """Relative luminance of WCAG 2."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _palettes() -> list[dict[str, str]]:
    """Read the variables of every block of the style sheet that sets them: light, dark, dark, print."""
    style = (ROOT / "templates" / "style.css").read_text("utf-8")
    blocks = re.findall(r"\{color-scheme[^{}]*--bg[^{}]*\}|\{--bg[^{}]*\}", style)
    palettes = [dict(re.findall(r"--([\w-]+):(#[0-9a-f]{3,6})", block)) for block in blocks]
    return [
        {name: c if len(c) == 7 else "#" + "".join(2 * d for d in c[1:]) for name, c in p.items()}
        for p in palettes
    ]


def test_text_and_lines_have_contrast_in_light_dark_and_print() -> None:
    palettes = _palettes()
    assert len(palettes) == 4
    assert palettes[1] == palettes[2]  # dark by system and by the toggle
    for palette in palettes:
        for paper in ("bg", "card", "soft"):
            for name in ("fg", "muted", "crit", "warn", "info", "ok"):
                assert _contrast(palette[name], palette[paper]) >= 4.5, (name, paper)
        for name in ("line-1", "line-2", "line-3", "line-4"):
            assert _contrast(palette[name], palette["card"]) >= 3.0, name
