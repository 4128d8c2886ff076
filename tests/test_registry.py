"""A detector, cause or ingester is one file, its line in one tuple, its documentation, its test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loganalyze.causes import HYPOTHESES
from loganalyze.detect import DETECTORS

ROOT = Path(__file__).resolve().parent.parent
FINDING_HEADINGS = [
    "What it does",
    "Why it matters",
    "Not to be confused with",
    "Settings",
    "Fix",
    "References",
]
CAUSE_HEADINGS = [
    "What it is",
    "What speaks for it",
    "What speaks against it",
    "How to confirm",
    "Fix",
    "References",
]


def modules(folder: str, marker: str) -> list[str]:
    return sorted(
        path.stem
        for path in (ROOT / "loganalyze" / folder).glob("*.py")
        if re.search(rf"^{marker}\b", path.read_text("utf-8"), re.MULTILINE)
    )


def test_every_detector_module_is_in_the_tuple() -> None:
    ids = sorted(detector.id.replace("-", "_") for detector in DETECTORS)
    assert ids == modules("detect", "DETECTOR")


def test_every_cause_module_is_in_the_tuple() -> None:
    ids = sorted(hypothesis.id.replace("-", "_") for hypothesis in HYPOTHESES)
    assert ids == modules("causes", "HYPOTHESIS")


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda d: d.id)
def test_a_detector_is_documented_and_tested(detector: object) -> None:
    assert headings(detector.explanation) == FINDING_HEADINGS  # type: ignore[attr-defined]
    name = detector.id.replace("-", "_")  # type: ignore[attr-defined]
    assert (ROOT / "tests" / "detect" / f"test_{name}.py").is_file()


@pytest.mark.parametrize("hypothesis", HYPOTHESES, ids=lambda h: h.id)
def test_a_cause_is_documented(hypothesis: object) -> None:
    assert headings(hypothesis.explanation) == CAUSE_HEADINGS  # type: ignore[attr-defined]


def headings(text: str) -> list[str]:
    return re.findall(r"^(.+)\n-{3,}$", text, re.MULTILINE)


def test_settings_say_their_unit_and_source() -> None:
    import dataclasses

    for detector in DETECTORS:
        for field in dataclasses.fields(detector.settings):
            assert field.metadata["unit"], f"{detector.id}: {field.name}"
            assert field.metadata["source"], f"{detector.id}: {field.name}"


def test_groups_of_settings_are_not_shared() -> None:
    groups = [d.group for d in DETECTORS if d.settings.__name__ != "NoSettings"]
    assert len(groups) == len(set(groups))


def test_causes_explain_findings_that_exist() -> None:
    ids = {detector.id for detector in DETECTORS}
    later = {
        "loss-at-chance", "loss-oscillation", "slow-convergence", "epoch-sawtooth", "loss-repeats",
        "loss-jump-on-resume", "eval-nonfinite", "eval-at-chance", "eval-below-train", "grad-zero",
        "grad-constant", "warmup-too-short", "lr-zero", "lr-schedule-anomaly", "memory-leak",
        "throughput-drop", "stall", "loss-scale-collapse", "sources-disagree", "steps-overlap",
    }  # fmt: skip
    for hypothesis in HYPOTHESES:
        assert set(hypothesis.explains) <= ids | later, hypothesis.id
        assert set(hypothesis.explains) & ids, hypothesis.id


def test_every_probe_module_is_in_the_tuple_documented_and_tested() -> None:
    from loganalyze.probe import PROBES

    assert sorted(one.id for one in PROBES) == modules("probe", "PROBE")
    page = (ROOT / "docs" / "probe.md").read_text("utf-8")
    for one in PROBES:
        assert headings(one.explanation)[:2] == ["What it does", "Thresholds"], one.id
        assert f"\n### {one.id}\n" in page or f"\n## {one.id}\n" in page
        assert list((ROOT / "tests" / "probe").glob(f"test_{one.id}*.py")), one.id


def test_every_cause_names_a_probe_and_every_evidence_a_cause() -> None:
    known = {hypothesis.id for hypothesis in HYPOTHESES}
    for path in (ROOT / "loganalyze" / "probe").glob("*.py"):
        text = path.read_text("utf-8")
        for said in re.findall(r"(?:says|finds)\((.*?)\)\n", text, re.DOTALL):
            for name in re.findall(r'"([a-z]+(?:-[a-z0-9]+)+)"', said):
                assert name in known, f"{path.name}: {name}"
