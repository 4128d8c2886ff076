"""The page and the text of a probe."""

from __future__ import annotations

import base64
import io

from PIL import Image

from loganalyze.finding import Outcome
from loganalyze.probed import (
    Curve,
    Drawn,
    Evidence,
    Picture,
    Probed,
    ProbeFigure,
    ProbeResult,
    ProbeTable,
    Restored,
    Subject,
)
from loganalyze.report.probe_chart import described
from loganalyze.report.probe_page import render
from loganalyze.report.probe_text import render as render_text

WHOLE = Restored(3, 4, 5)
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"


def png() -> str:
    held = io.BytesIO()
    Image.new("RGB", (2, 2)).save(held, "PNG")
    return base64.b64encode(held.getvalue()).decode()


def probed(word: str, restored: Restored = WHOLE) -> Probed:
    line = ProbeFigure(
        word, Drawn.LINE, (Curve(word, [1.0, 2.0, 3.0], [1.0, float("nan"), 2.0]),), word, word,
        levels={word: 1.5}, places={word: 2.0},
    )  # fmt: skip
    bars = ProbeFigure(word, Drawn.BARS, (Curve(word, [0.0], [1e-3]),), names=(word,), log_y=True)
    sheet = ProbeFigure(word, Drawn.PICTURES, pictures=(Picture(word, png()),))
    result = ProbeResult(
        Outcome.FOUND, word, (word, f"{word} again"), (word,), {word: word, "n": 1.0},
        (Evidence(word, 3.0, word), Evidence("b", -1.0, word)), (word,), (line, bars, sheet),
        (ProbeTable(word, (word,), ((word,), (float("inf"),))),), "init", 1.0, restored,
    )  # fmt: skip
    return Probed(Subject(word, word, 2, 1, "cpu", "2.0"), (result,), word, "path")


def test_nothing_of_a_target_acts_on_the_reader() -> None:
    page = render(probed(EVIL))
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "default-src 'none'" in page
    assert "http://" not in page.replace("http://www.w3.org/", "")


def test_the_page_says_what_was_found_and_that_everything_is_back() -> None:
    page = render(probed("It is so"))
    assert "1 of 1 checks found something: init" in page
    assert "Everything is as it was, bit for bit: 3 tensors, 4 objects, 5 generators" in page
    assert page.count("<svg") == 2
    assert page.count("data:image/png;base64,") == 1
    lost = render(probed("x", Restored(3, 4, 5, ("model.weight",), ("The place is gone.",))))
    assert "NOT put back as it was: model.weight" in lost
    assert "The place is gone." in lost


def test_a_figure_is_described_for_those_who_cannot_see_it() -> None:
    figure = probed("loss").results[0].figures[0]
    assert described(figure).startswith("loss: 3 points, 1 at first, 2 at last, between 1 and 2.")
    assert described(figure).endswith("A dashed line marks loss. A dashed line marks loss.")


def test_the_text_has_a_line_for_each_check_where_nothing_more_is_asked() -> None:
    quiet = render_text(probed("It is so."), quiet=True).splitlines()
    assert quiet[0] == "▲ init  It is so."
    assert quiet[1].startswith("Everything is as it was")
    whole = render_text(probed("It is so."))
    assert "weighs: It is so. +3.0, b -1.0" in whole
    assert "fix: It is so." in whole
