"""Facts, accuracy, thresholds and commands of the page."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import loganalyze as la
from loganalyze.report import measured, policy, views
from loganalyze.report.html import render, script_safe
from loganalyze.report.points import logged
from loganalyze.report.thresholds import thresholds
from loganalyze.run import Event, EventKind, Source, Status, Where
from loganalyze.settings import Settings
from tests.builders import make_run

ROOT = Path(__file__).resolve().parents[2]


def _facts(**about: Any) -> dict[str, tuple[str, str]]:
    found = views.facts(la.diagnose(make_run(**about)))
    return {fact.name: (fact.value, fact.detail) for fact in found}


def test_the_verdict_says_how_far_it_got_what_was_lost_and_where_to_go_back_to() -> None:
    loss = np.r_[np.linspace(2, 1, 300), np.full(100, np.nan)]
    source = Source("out/checkpoint-250/trainer_state.json", "checkpoint", 0)
    found = _facts(loss=loss, planned_steps=1000, status=Status.COMPLETED, started=0.0, ended=7200.0,
                   sources=[Source("train.log", "text", 400), source])  # fmt: skip
    assert found["Got to"] == ("step 400", "of 1,000 planned, 40%")
    assert found["Ended"] == ("completed", "1970-01-01 00:00 to 02:00 UTC, 2 h")
    assert found["Lost"][0] == "150 steps"
    assert found["Go back to"] == ("out/checkpoint-250", "step 250")


def test_a_crash_without_a_checkpoint_lost_no_step_by_itself() -> None:
    event = Event(EventKind.TRACEBACK, "Traceback\nValueError: x", Where("train.log", 1), 300,
                  None, {"exception": "ValueError", "message": "x", "frame": "a.py:1"})  # fmt: skip
    found = _facts(loss=np.linspace(2, 1, 300), events=[event], status=Status.CRASHED)
    assert found["In order up to"] == ("step 300", "its last")
    assert found["Go back to"] == ("no checkpoint", "none is known of")


def test_without_a_cause_the_verdict_says_what_to_log() -> None:
    text = render(la.diagnose(make_run(loss=[2.0, 1.9, 1.8])))
    verdict = text[text.index('id="verdict"') : text.index('id="findings"')]
    assert "Too little to judge" in verdict
    assert "Log the train loss at least 20 times" in verdict
    assert "What to change" not in render(la.diagnose(la.load(ROOT / "sample_logs" / "healthy-hf")))


def test_the_probe_is_offered_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    diagnosis = la.diagnose(la.load(ROOT / "sample_logs" / "spike"))
    command = diagnosis.causes[0].probe
    found = importlib.util.find_spec("json")
    for spec, count in ((None, 0), (found, 2)):  # in the verdict and in the ranking
        monkeypatch.setattr(importlib.util, "find_spec", lambda name, spec=spec: spec)
        assert render(diagnosis).count(f'data-copy="{command}"') == count


def test_the_footer_tells_the_measured_accuracy_of_the_documentation() -> None:
    page = (ROOT / "docs" / "accuracy.md").read_text("utf-8")
    figures = measured.measured()
    assert measured.from_page(page) == {
        "recall": figures.recall, "precision": figures.precision, "cause_first": figures.cause_first,
        "healthy_warned": figures.healthy_warned,
    }  # fmt: skip
    text = render(la.diagnose(make_run(loss=[2, 1])))
    assert f"{figures.recall} of the findings" in text


def test_the_settings_of_the_analysis_are_listed_with_what_was_changed() -> None:
    diagnosis = la.diagnose(
        make_run(loss=np.linspace(2, 1, 50)), Settings(changed={"spike.z": "9"})
    )
    found = {item.name: item for item in thresholds(diagnosis)}
    assert found["spike.z"].is_changed
    assert found["spike.z"].value == "9"
    assert sum(item.is_changed for item in found.values()) == 1
    assert all(item.unit and item.source for item in found.values())
    assert "<code>spike.z=9</code>" in render(diagnosis)


def test_a_hostile_path_makes_no_command() -> None:
    run = make_run(loss=[2, 1])
    object.__setattr__(run, "path", "x; rm -rf ~ $(id)")
    assert "loganalyze report &#39;x; rm -rf ~ $(id)&#39;" in render(la.diagnose(run))


def test_values_have_the_digits_they_were_logged_with() -> None:
    assert logged(float(np.float32(0.3))) == 0.3
    assert logged(2.5313) == 2.5313
    assert logged(1 / 3) == 0.333333333
    assert logged(float("-inf")) == "-Infinity"
    assert logged(1e300) == 1e300


def test_json_in_the_page_cannot_end_its_element_and_has_an_end() -> None:
    dumped = script_safe({"a": "</script><!--\u2028", "b": "x" * 1_000_000})
    assert "<" not in dumped
    assert "\u2028" not in dumped
    assert json.loads(dumped)["a"] == "</script><!--\u2028"
    assert len(dumped) < 20_000


def test_our_scripts_lose_comments_and_spaces_but_not_their_text() -> None:
    source = '// why\nconst a = "x = y // z";\n  if (a) { b (); }\n'
    assert policy.plain_script(source) == 'const a="x = y // z";if(a){b();}'


def test_a_page_full_of_figures_says_which_findings_go_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    diagnosis = la.diagnose(la.load(ROOT / "sample_logs" / "report-280-classes"))
    assert "Not drawn:" not in render(diagnosis)
    monkeypatch.setattr(views, "FIGURES", 1)
    drawn, *others = views.finding_views(diagnosis)
    assert drawn.charts
    assert not drawn.undrawn
    assert any(view.undrawn for view in others)
    assert "Not drawn: the findings above fill the page&#39;s 1 figures." in render(diagnosis)


def test_no_probe_is_offered_for_what_happened_outside_of_the_model() -> None:
    crash = la.diagnose(la.load(ROOT / "sample_logs" / "crash"))
    by_id = {view.cause.id: view for view in views.cause_views(crash)}
    outside = [view for view in by_id.values() if not view.cause.is_testable]
    assert all(view.probe == "" for view in outside)
    assert any(view.probe for view in by_id.values())
    assert all(view.cause.probe.startswith("loganalyze probe ") for view in outside)
    killed = la.diagnose(make_run(loss=np.linspace(2, 1, 300), planned_steps=1000))
    first = views.cause_views(killed)[0]
    assert (first.cause.id, first.probe) == ("killed", "")
