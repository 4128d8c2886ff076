"""Each sample's diagnosis, whole, against a reviewed file."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

import loganalyze as la
from loganalyze.report.text import render

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden"
SAMPLES = sorted(path.name for path in (ROOT / "sample_logs").iterdir() if path.is_dir())
SCHEMA = json.loads((ROOT / "loganalyze" / "diagnosis.schema.json").read_text("utf-8"))


def significant(value: object) -> object:
    """Round floats to 6 digits: sums may differ in the last bits between machines."""
    if isinstance(value, dict):
        return {key: significant(item) for key, item in value.items()}
    if isinstance(value, list):
        return [significant(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def diagnose(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    monkeypatch.chdir(ROOT)
    document = json.loads(la.diagnose(la.load(f"sample_logs/{name}")).to_json())
    document["tool"].pop("version")
    return document


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_gets_its_reviewed_diagnosis(
    name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = significant(diagnose(name, monkeypatch))
    path = GOLDEN / f"{name}.json"
    if request.config.getoption("--update-golden"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    assert found == significant(json.loads(path.read_text("utf-8")))


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_gets_its_reviewed_text(
    name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    text = render(la.diagnose(la.load(f"sample_logs/{name}")), width=80)
    path = GOLDEN / f"{name}.txt"
    if request.config.getoption("--update-golden"):
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8")


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_s_json_follows_the_schema(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    jsonschema.validate(json.loads(la.diagnose(la.load(f"sample_logs/{name}")).to_json()), SCHEMA)


@pytest.mark.parametrize("name", [name for name in SAMPLES if name.startswith("healthy")])
def test_a_healthy_sample_has_no_finding_above_info(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = diagnose(name, monkeypatch)
    assert [f["id"] for f in document["findings"] if f["severity"] != "info"] == []
    assert document["verdict"]["level"] == "healthy"
    assert document["causes"] == []


def test_every_golden_file_belongs_to_a_sample() -> None:
    for ending in ("json", "txt"):
        assert sorted(path.stem for path in GOLDEN.glob(f"*.{ending}")) == SAMPLES
