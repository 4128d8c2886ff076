"""The index page of a scan: in a browser, with hostile names, and of 2,000 runs; its text and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

import loganalyze as la
from loganalyze.fleet.plan import Costs
from loganalyze.fleet.ranks import Job, Odd
from loganalyze.fleet.row import POINTS, Row
from loganalyze.report.scan_text import render as render_text
from loganalyze.report.scan_views import run_views
from tests.report.conftest import ROOT, Opened, axe

Open = Callable[..., Opened]
EVIL = "<script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\"> \u202e \x1b[2J \"'&"
SCHEMA = json.loads((ROOT / "loganalyze" / "scan.schema.json").read_text("utf-8"))


def row(number: int, *, name: str = "") -> Row:
    sick = number % 3 == 0
    curve = tuple(2 * math.exp(-k / 12) + (k > 30) * sick for k in range(POINTS))
    return Row(
        name=name or f"sweep/run-{number:05d}",
        path=f"/runs/{name or number}",
        level=("critical" if number % 2 else "warning") if sick else "healthy",
        headline=f"The loss rises: {name}" if sick else "No problem found in 20 checks.",
        last_step=100 * number,
        planned_steps=200_000,
        seconds=60.0 * number,
        loss=curve[-1],
        best=("eval/loss", 1 / (number + 1), 10),
        findings=(("loss-divergence", "critical", "It rises"),) if sick else (),
        causes=(("lr-too-high", "The learning rate is too high", 0.8),) if sick else (),
        config={"learning_rate": 1e-3 if sick else 1e-4, "batch_size": 8, "optim": "adamw", "seed": number},
        curve=(1, 1000, curve),
        modified=float(number),
    )  # fmt: skip


def made(count: int, *, name: str = "") -> la.Scan:
    rows = sorted(
        (row(number, name=name if number == 3 else "") for number in range(count)),
        key=lambda r: r.order,
    )
    odd = Odd(5, "RuntimeError: CUDA error after step 90", "rank_5.log:9")
    job = Job(
        name or "big",
        "/runs/big",
        8,
        8,
        failed=8,
        root=odd,
        silent=(Odd(2, "no log of this rank", ""),),
    )
    return la.Scan(("/runs",), tuple(rows), (job,), {}, Costs(units=count, seconds=5.0), empty=1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_axe_finds_nothing_wrong(scheme: str, width: int, tmp_path: Path, open_page: Open) -> None:
    path = made(10).to_html(tmp_path / "index.html")
    opened = open_page(path, color_scheme=scheme, viewport={"width": width, "height": 800})
    assert axe(opened) == []
    assert opened.complaints == []
    assert opened.requests == [f"file://{path}"]
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_sick_run_of_a_store_is_set_against_its_neighbour_by_their_names() -> None:
    sick, sound = (
        replace(row(3), path="mlflow.db", run="a b"),
        replace(row(4), path="mlflow.db", run="c"),
    )
    (view, _) = run_views(
        la.Scan(("/runs",), (sick, sound), (), {}, Costs(units=2, seconds=1.0), empty=0)
    )
    assert view.command == "loganalyze report mlflow.db --run 'a b'"
    assert view.diff == "loganalyze diff 'mlflow.db#a b' 'mlflow.db#c'"


def test_sorting_and_filtering(tmp_path: Path, open_page: Open) -> None:
    page = open_page(made(30).to_html(tmp_path / "index.html")).page
    first = page.locator("#runs tbody tr:visible th").first
    page.get_by_role("button", name="Last step").click()
    assert "run-00029" in first.inner_text()
    page.get_by_role("button", name="Last step").click()
    assert "run-00000" in first.inner_text()
    page.locator("#level").select_option("critical")
    assert page.locator("#runs tbody tr:visible").count() == 5
    assert page.locator("#shown").inner_text() == "5 / 30"
    page.locator("#find").fill("00009")
    assert page.locator("#runs tbody tr:visible").count() == 1
    page.locator("[data-show=loss-divergence]").click()
    assert page.locator("#runs tbody tr:visible").count() == 10


def test_everything_is_there_without_javascript(tmp_path: Path, open_page: Open) -> None:
    page = open_page(made(12).to_html(tmp_path / "index.html"), java_script_enabled=False).page
    text = page.locator("body").inner_text()
    assert "4 of 12 runs need attention" in text
    assert "rank 5" in text
    assert page.locator("#runs tbody tr").count() == 12
    assert not page.locator("#filters").is_visible()


def test_hostile_names_are_shown_as_text(tmp_path: Path, open_page: Open) -> None:
    opened = open_page(made(9, name=EVIL).to_html(tmp_path / "index.html"))
    assert opened.page.title().startswith("Scan")
    assert opened.complaints == []
    assert opened.page.locator("img").count() == 0
    text = opened.page.locator("body").text_content() or ""
    assert "document.title='pwned'" in text
    assert "\u202e" not in text
    assert "\x1b" not in render_text(made(9, name=EVIL), color=False)


def test_a_page_of_2000_runs_stays_small(tmp_path: Path) -> None:
    assert made(2000).to_html(tmp_path / "index.html").stat().st_size < 5_000_000


def test_the_same_scan_gives_the_same_page(tmp_path: Path) -> None:
    one, two = (made(20).to_html(tmp_path / name).read_bytes() for name in ("a.html", "b.html"))
    assert one == two


def test_the_json_keeps_its_contract() -> None:
    document = json.loads(made(12).to_json())
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(document, SCHEMA)
    assert document["runs"][0]["baseline"]["differences"] == [["learning_rate", "0.001", "0.0001"]]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "more": 1}, SCHEMA)


def test_the_table_has_a_row_for_each_run() -> None:
    frame = made(12).to_frame()
    assert len(frame) == 12
    assert frame.loc[frame["name"] == "sweep/run-00003", "cause"].tolist() == ["lr-too-high"]
    assert {"config.learning_rate", "baseline"} <= set(frame.columns)


def test_the_text_fits_its_width() -> None:
    text = render_text(made(40), width=80)
    assert text.startswith("▲ 14 of 40 runs need attention: 7 critical, 7 with warnings.")
    assert "rank 5 failed first" in text
    assert "learning_rate  sick at 0.0001: 0 of 26; 0.001: 14 of 14" in text
    assert max(map(len, text.splitlines())) <= 80
    assert render_text(made(40), unicode=False).isascii()
