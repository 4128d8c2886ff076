"""A report read back shows what `diagnose` showed."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest

import loganalyze as la
from loganalyze.errors import NothingReadable
from loganalyze.report.html import render as render_html
from loganalyze.report.json import to_dict
from loganalyze.report.read_back import read_back
from loganalyze.report.sparkline import BARS
from loganalyze.report.text import CURVES, render

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = sorted(path.name for path in (ROOT / "sample_logs").iterdir() if path.is_dir())
SICK = "report-280-classes"


def is_curve(line: str) -> bool:
    return line.strip().startswith(CURVES) and bool(set(line) & set(BARS))


@pytest.mark.parametrize("name", SAMPLES)
def test_everything_comes_back_but_the_points(name: str) -> None:
    from loganalyze.report.cost import cost

    diagnosis = la.diagnose(la.load(ROOT / "sample_logs" / name))
    kept = read_back(json.loads(diagnosis.to_json()))
    assert to_dict(kept) == to_dict(diagnosis)
    text = render(diagnosis, width=200, verbose=True)
    lost = cost(diagnosis)
    without = [
        line
        for line in text.splitlines()
        if not is_curve(line) and (lost is None or line.strip() != lost.sentence)
    ]
    assert render(kept, width=200, verbose=True).splitlines() == without


def test_inspect_shows_a_report_as_diagnose_does(call, samples) -> None:
    call("report", samples / SICK, "-o", "r.html", "--json", "r.json")
    code, out, err = call("inspect", "r.html")
    assert (code, err) == (0, "")
    told = call("diagnose", samples / SICK)[1].splitlines()
    # Without curves there is room for more findings.
    said = [line for line in told if not is_curve(line) and "--verbose shows them" not in line]
    assert set(said) <= set(out.splitlines())
    assert len(call("inspect", "r.html", "--verbose")[1]) > len(out)
    document = json.loads(call("inspect", "r.html", "--format", "json")[1])
    assert document == json.loads(Path("r.json").read_text("utf-8"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("<p>my own page</p>", "no report written by loganalyze"),
        ('<script type="application/json" id="loganalyze-diagnosis">{"a":</script>', "cannot read a report"),
        ('<script type="application/json" id="loganalyze-diagnosis">[]</script>', "no diagnosis of loganalyze"),
        ('<script type="application/json" id="loganalyze-diagnosis">{"schema_version": 2}</script>',
         "a diagnosis of schema_version 2; this loganalyze reads 1"),
    ],
)  # fmt: skip
def test_what_is_no_report_is_one_line(call, tmp_path, content, told) -> None:
    (tmp_path / "x.html").write_text(content)
    code, out, err = call("inspect", "x.html")
    assert (code, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1


def test_a_missing_report_is_one_line(call) -> None:
    code, _, err = call("inspect", "none.html")
    assert code == 2
    assert "none.html" in err


@pytest.fixture(scope="module")
def document():
    return json.loads(la.diagnose(la.load(ROOT / "sample_logs" / SICK)).to_json())


@pytest.mark.parametrize("value", [None, [], {}, "x", -1, [None], {"level": "bad"}])
def test_a_document_of_any_other_shape_is_refused_or_shown(document, value) -> None:
    for key in document:
        with suppress(NothingReadable):
            render(read_back({**document, key: value}), verbose=True)


def test_a_forged_report_cannot_steer_the_terminal(call, document, tmp_path) -> None:
    evil = "\x1b]0;owned\x07\u202e"
    forged = json.loads(json.dumps(document))
    forged["verdict"]["headline"] = evil
    forged["findings"][0] |= {
        "title": evil,
        "summary": evil,
        "where": [evil],
        "evidence": {evil: evil},
    }
    forged["causes"][0] |= {"title": evil, "fix": [evil]}
    page = render_html(la.diagnose(la.load(ROOT / "sample_logs" / SICK)))
    begin = page.index('id="loganalyze-diagnosis">') + len('id="loganalyze-diagnosis">')
    (tmp_path / "f.html").write_text(f"{page[:begin]}{json.dumps(forged)}</script>")
    _, out, _ = call("inspect", "f.html", "--verbose")
    assert not set(out) & {"\x1b", "\x07", "\u202e"}
    assert "owned" in out
