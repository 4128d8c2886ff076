"""Strict JSON whatever the run holds."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loganalyze.report.json import plain
from loganalyze.report.read_back import read_back
from loganalyze.report.text import render

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "loganalyze" / "diagnosis.schema.json").read_text("utf-8"))
# Written by the version in its name, and never written anew: what users have kept must stay readable.
KEPT = sorted(Path(__file__).parent.glob("kept/diagnosis-*.json"))


def refuse(token: str) -> None:
    raise AssertionError(f"{token} is not strict JSON")


@given(values)
def test_any_value_becomes_strict_json(value: object) -> None:
    json.loads(json.dumps(plain(value), allow_nan=False), parse_constant=refuse)


def test_non_finite_numbers_become_their_names() -> None:
    assert plain([math.nan, math.inf, -math.inf]) == ["NaN", "Infinity", "-Infinity"]


def test_numpy_numbers_are_numbers() -> None:
    import numpy as np

    assert plain({"a": np.float64(1.5), "b": np.int64(3), "c": np.bool_(True)}) == {
        "a": 1.5,
        "b": 3,
        "c": True,
    }


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.name)
def test_a_diagnosis_of_an_older_version_stays_valid_and_readable(path: Path) -> None:
    document = json.loads(path.read_text("utf-8"))
    jsonschema.validate(document, SCHEMA)
    diagnosis = read_back(document)
    assert document["verdict"]["level"].upper() in render(diagnosis)
    assert {finding.id for finding in diagnosis.findings} == {f["id"] for f in document["findings"]}


def test_there_is_a_kept_diagnosis() -> None:
    assert len(KEPT) >= 2


def broken(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {**document, "more": 1}
    yield {key: value for key, value in document.items() if key != "verdict"}
    yield {**document, "verdict": {"level": "fine", "headline": "x"}}
    yield {**document, "findings": [{**document["findings"][0], "confidence": 2}]}
    yield {**document, "findings": [{**document["findings"][0], "id": "Not An Id"}]}
    yield {**document, "checks": [{"id": "x", "outcome": "maybe", "reason": ""}]}


def test_the_schema_refuses_what_is_no_diagnosis() -> None:
    for document in broken(json.loads(KEPT[-1].read_text("utf-8"))):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document, SCHEMA)


def test_the_schema_is_one_and_every_field_says_what_it_holds() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)

    def undescribed(node: Any, name: str) -> Iterator[str]:
        for key, value in node.get("properties", {}).items():
            if "description" not in value:
                yield f"{name}.{key}"
            yield from undescribed(value.get("items", value), f"{name}.{key}")
            yield from undescribed(value.get("additionalProperties") or {}, f"{name}.{key}.*")

    assert list(undescribed(SCHEMA, "")) == []
    assert list(undescribed(SCHEMA["$defs"]["clues"]["items"], "clues")) == []
