from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loganalyze.ingest import tf_windows
from loganalyze.ingest.tf_windows import windows
from loganalyze.ingest.tfrecord import RecordFile, framed
from loganalyze.run import Problem


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("records")


def payloads(folder: Path, data: bytes) -> tuple[list[tuple[int, bytes]], list[Problem]]:
    path = folder / "events.out.tfevents.1.host"
    path.write_bytes(data)
    file = RecordFile(path)
    problems: list[Problem] = []
    found = [
        (window.number + index, bytes(file.view[start : start + length]))
        for window in windows(file, problems)
        for index, (start, length) in enumerate(
            zip(window.starts.tolist(), window.lengths.tolist(), strict=True)
        )
    ]
    return found, problems


lengths = st.lists(st.integers(0, 40), min_size=1, max_size=40)
stretches = st.lists(st.tuples(lengths, st.integers(1, 60)), max_size=4)


@settings(max_examples=60, deadline=None)
@given(stretches, st.integers(130, 1000), st.integers(500, 20_000))
def test_records_are_found_whatever_the_order_of_their_lengths(
    folder: Path, stretches: list, most_records: int, most_bytes: int
) -> None:
    chain = [length for pattern, times in stretches for length in pattern * times]
    written = [(number, bytes([number % 251]) * length) for number, length in enumerate(chain, 1)]
    data = b"".join(framed(payload) for _, payload in written) or framed(b"")
    with (
        patch.object(tf_windows, "WINDOW_RECORDS", most_records),
        patch.object(tf_windows, "WINDOW_BYTES", most_bytes),
    ):
        found, problems = payloads(folder, data)
    assert found == (written or [(1, b"")])
    assert problems == []


@settings(max_examples=60, deadline=None)
@given(lengths, st.integers(1, 30), st.data())
def test_a_cut_costs_the_record_it_goes_through(
    folder: Path, pattern: list[int], times: int, data: st.DataObject
) -> None:
    written = [bytes([number % 251]) * length for number, length in enumerate(pattern * times)]
    whole = [framed(payload) for payload in written]
    kept = data.draw(st.integers(0, len(whole) - 1))
    rest = data.draw(st.integers(1, len(whole[kept]) - 1))
    found, problems = payloads(folder, b"".join(whole[:kept]) + whole[kept][:rest])
    assert [payload for _, payload in found] == written[:kept]
    (problem,) = problems
    assert problem.row == kept + 1
    assert "cut off in" in problem.text


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 299), st.binary(min_size=1, max_size=60), st.integers(0, 40))
def test_after_a_damaged_length_the_next_record_is_found(
    folder: Path, place: int, rubbish: bytes, lost: int
) -> None:
    written = [f"record {number}".encode() for number in range(300)]
    whole = [framed(payload) for payload in written]
    header = bytearray(whole[place])
    header[3] ^= 0x40
    broken = bytes(header[: len(header) - min(lost, 10)]) + rubbish
    found, problems = payloads(folder, b"".join([*whole[:place], broken, *whole[place + 1 :]]))
    assert [payload for _, payload in found] == written[:place] + written[place + 1 :]
    assert [number for number, _ in found] == [n for n in range(1, 301) if n != place + 1]
    (problem,) = problems
    assert problem.row == place + 1
    assert "damaged at byte" in problem.text


def test_zeros_that_a_crash_left_are_stepped_over(folder: Path) -> None:
    found, problems = payloads(folder, framed(b"a") + bytes(3_000_000) + framed(b"b"))
    assert [payload for _, payload in found] == [b"a", b"b"]
    assert "3,000,000 bytes are lost" in problems[0].text


def test_headers_that_lead_nowhere_end_the_search(folder: Path) -> None:
    trap = framed(bytes(200))[:12]  # a sound length; the data after it are not
    data = framed(b"a") + b"\xff" * 12 + trap * 40 + framed(b"b") + bytes(400)
    found, problems = payloads(folder, data)
    assert [payload for _, payload in found] == [b"a"]
    assert "bytes after it are lost" in problems[0].text


def test_a_file_damaged_everywhere_is_given_up(folder: Path) -> None:
    data = framed(b"a") + (b"\xff" * 12 + framed(b"b")) * 300
    found, problems = payloads(folder, data)
    assert len(found) == 1 + tf_windows.MAX_RESCUES
    assert len(problems) == tf_windows.MAX_RESCUES + 1
    assert "bytes after it are lost" in problems[-1].text


def test_a_length_beyond_any_file_is_a_cut(folder: Path) -> None:
    from loganalyze.ingest.tfrecord import CRC, LENGTH, masked_crc

    header = LENGTH.pack(2**64 - 1)
    data = framed(b"a") + header + CRC.pack(masked_crc(header)) + bytes(100)
    found, problems = payloads(folder, data)
    assert len(found) == 1
    assert problems[0].text == "cut off in record 2: the 1 before it were kept"


def test_an_empty_file_is_a_value_error(folder: Path) -> None:
    path = folder / "empty"
    path.touch()
    with pytest.raises(ValueError, match="empty"):
        RecordFile(path)
