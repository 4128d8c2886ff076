import json
from pathlib import Path

from loganalyze.monitor.lines import Lines, strict


def test_numbers_that_are_not_finite_stay_strict_json(tmp_path: Path):
    lines = Lines(tmp_path / "x.jsonl")
    lines.add(strict({"a": float("nan"), "b": float("-inf"), "c": [float("inf")], "d": {"e": 1.5}}))
    lines.close()
    text = (tmp_path / "x.jsonl").read_text()
    assert json.loads(text) == {"a": "NaN", "b": "-Infinity", "c": ["Infinity"], "d": {"e": 1.5}}


def test_an_unfinished_line_is_cut_off_before_more_is_written(tmp_path: Path):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"a":1}\n{"a":2}\n{"a":')
    lines = Lines(path)
    assert lines.count == 2
    assert lines.add({"a": 3}) == 3
    lines.close()
    assert path.read_bytes() == b'{"a":1}\n{"a":2}\n{"a":3}\n'


def test_the_head_is_written_once(tmp_path: Path):
    for _ in range(2):
        lines = Lines(tmp_path / "x.jsonl", {"head": 1})
        lines.close()
    assert (tmp_path / "x.jsonl").read_bytes() == b'{"head":1}\n'


def test_an_integer_beyond_64_bits_is_text(tmp_path: Path):
    lines = Lines(tmp_path / "x.jsonl")
    lines.add({"a": 2**70})
    lines.close()
    assert json.loads((tmp_path / "x.jsonl").read_text()) == {"a": str(2**70)}
