"""Records read in groups say what they say when they are read one by one."""

import struct
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto

from loganalyze.ingest import tf_columns, tf_points, tf_windows
from loganalyze.ingest.tf_points import Points, points_frame, read_points, segments
from loganalyze.ingest.tfrecord import RecordFile, framed

Value = Summary.Value
DT_FLOAT, DT_DOUBLE, DT_INT32, DT_STRING, DT_INT64, DT_HALF = 1, 2, 3, 7, 9, 19
SCALAR, VECTOR = TensorProto().tensor_shape, TensorProto().tensor_shape
VECTOR.dim.add(size=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("points")


def event(step: int, *values: Value, time: float = 1.7e9) -> bytes:
    return Event(wall_time=time, step=step, summary=Summary(value=values)).SerializeToString()


def tensor(kind: int, **content: object) -> TensorProto:
    return TensorProto(dtype=kind, tensor_shape=content.pop("shape", SCALAR), **content)


def message(number: int, data: bytes) -> bytes:
    """Return a field of length-type, its length in a varint of two bytes whatever it is."""
    return bytes([number << 3 | 2, 0x80 | len(data) & 0x7F, len(data) >> 7]) + data


steps = st.one_of(
    st.integers(0, 300),
    st.sampled_from([127, 128, 16_383, 16_384, 2**21, 2**56 - 1, 2**56, 2**63 - 1, -1, -(2**63)]),
)
tags = st.sampled_from(
    ["loss", "lr", "acc1", "train/loss", "epoch_loss", "args/x", "_hparams_/a", "", "é", "a" * 130,
     "train/train_runtime", "train/total_flos", "a_long_tag_of_words", "a_long_tag_of_bytes"]
)  # fmt: skip
numbers = st.floats(width=32)
tensors = st.one_of(
    numbers.map(lambda x: tensor(DT_FLOAT, tensor_content=struct.pack("<f", x))),
    numbers.map(lambda x: tensor(DT_DOUBLE, tensor_content=struct.pack("<d", x))),
    numbers.map(lambda x: tensor(DT_FLOAT, float_val=[x])),
    numbers.map(lambda x: tensor(DT_DOUBLE, double_val=[x])),
    numbers.map(lambda x: tensor(DT_FLOAT, float_val=[x, x], shape=VECTOR)),
    numbers.map(lambda x: tensor(DT_FLOAT, float_val=[x], double_val=[1.0])),
    st.integers(-(2**31), 2**31 - 1).map(lambda x: tensor(DT_INT32, int_val=[x])),
    st.integers(-(2**63), 2**63 - 1).map(lambda x: tensor(DT_INT64, int64_val=[x])),
    st.integers(-(2**63), 2**63 - 1).map(
        lambda x: tensor(DT_INT64, tensor_content=struct.pack("<q", x))
    ),
    st.just(tensor(DT_HALF, tensor_content=b"\x00\x3c")),
    st.binary(max_size=6).map(lambda x: tensor(DT_FLOAT, tensor_content=x)),
    st.text(max_size=6).map(lambda x: tensor(DT_STRING, string_val=[x.encode()])),
)
values = st.one_of(
    st.builds(lambda tag, x: Value(tag=tag, simple_value=x), tags, numbers),
    st.builds(lambda tag, x: Value(tag=tag, tensor=x), tags, tensors),
    st.builds(
        lambda tag, x: Value(tag=tag, image=Summary.Image(height=x, encoded_image_string=b"png")),
        tags,
        st.integers(1, 300),
    ),
)
payloads = st.one_of(
    st.builds(event, steps, values),
    st.builds(lambda step, value, time: event(step, value, time=time), steps, values, st.floats()),
    st.builds(event, steps, values, values),
    st.just(Event(wall_time=1.0, file_version="brain.Event:2").SerializeToString()),
    st.just(Event(session_log=SessionLog(status=SessionLog.START)).SerializeToString()),
    st.binary(max_size=30),
    # What no writer makes: numbers longer than they need to be, fields out of order or twice.
    st.builds(lambda data: message(5, message(1, data)), values.map(Value.SerializeToString)),
    st.builds(lambda a, b: a + b, st.builds(event, steps, values), st.builds(event, steps, values)),
    st.builds(lambda a: a + b"\x10\x85\x80\x00", st.builds(event, st.just(0), values)),
)


def same_value(payload: bytes, times: int) -> list[bytes]:
    """Return an event several times, its step and value moved on where it has them."""
    try:
        parsed = Event.FromString(payload)
    except DecodeError:
        return [payload] * times
    copies = []
    for index in range(times):
        parsed.wall_time += index
        parsed.step = min(parsed.step + index, 2**63 - 1)
        for value in parsed.summary.value:
            if value.HasField("simple_value"):
                value.simple_value = index / 7
        copies.append(parsed.SerializeToString())
    return copies


logs = st.lists(
    st.one_of(
        payloads.map(lambda payload: [payload]),
        st.builds(same_value, payloads, st.integers(2, 12)),
    ),
    min_size=1,
    max_size=25,
).map(lambda parts: [payload for part in parts for payload in part])


def read(path: Path, smallest: int) -> tuple[Points, pd.DataFrame]:
    with patch.object(tf_columns, "SMALLEST_GROUP", smallest):
        points = read_points(RecordFile(path))
    return points, points_frame(points, "source", "")


def assert_same(path: Path) -> pd.DataFrame:
    grouped, frame = read(path, 1)
    single, expected = read(path, 10**9)
    pd.testing.assert_frame_equal(frame, expected, check_exact=True)
    assert grouped.problems == single.problems
    assert set(grouped.tags) == set(single.tags)
    assert grouped.events.texts == single.events.texts
    assert grouped.events.hparams == single.events.hparams
    np.testing.assert_equal(grouped.events.first, single.events.first)
    return frame


@settings(max_examples=200, deadline=None)
@given(logs, st.integers(130, 300))
def test_groups_and_single_events_give_the_same_rows(
    folder: Path, log: list[bytes], window: int
) -> None:
    path = folder / "events"
    path.write_bytes(b"".join(map(framed, log)))
    with patch.object(tf_windows, "WINDOW_RECORDS", window):
        assert_same(path)


@settings(max_examples=200, deadline=None)
@given(logs, st.lists(st.tuples(st.floats(0, 1), st.integers(0, 7)), max_size=4), st.floats(0, 1))
def test_groups_and_single_events_tell_damage_alike(
    folder: Path, log: list[bytes], flips: list, kept: float
) -> None:
    data = bytearray(b"".join(map(framed, log)))
    for place, bit in flips:
        data[int(place * (len(data) - 1))] ^= 1 << bit
    path = folder / "damaged"
    path.write_bytes(bytes(data[: max(int(kept * len(data)), 1)]))
    assert_same(path)


@settings(max_examples=100, deadline=None)
@given(st.integers(70, 200), st.floats(0, 1, exclude_max=True), st.integers(0, 7))
def test_one_flipped_bit_costs_one_record_wherever_it_is(
    folder: Path, count: int, place: float, bit: int
) -> None:
    log = [
        event(step, Value(tag=tag, simple_value=step / 7), time=1e9 + step)
        for step in range(count)
        for tag in ("loss", "lr")
    ]
    data = bytearray(b"".join(map(framed, log)))
    data[int(place * len(data))] ^= 1 << bit
    path = folder / "flipped"
    path.write_bytes(bytes(data))
    points = read_points(RecordFile(path))
    frame = points_frame(points, "source", "")
    lost = int(place * len(data))
    ends = np.cumsum([len(framed(payload)) for payload in log])
    lost = int(np.searchsorted(ends, lost, side="right")) + 1
    assert frame["row"].tolist() == [row for row in range(1, 2 * count + 1) if row != lost]
    assert (frame["step"] == (frame["row"] - 1) // 2).all()
    np.testing.assert_array_equal(frame["value"], (frame["step"] / 7).astype(np.float32))
    np.testing.assert_array_equal(frame["time"], 1e9 + frame["step"])
    assert set(frame["name"]) == {"loss", "lr"}
    assert [problem.row for problem in points.problems] == [lost]


def test_tags_that_only_a_damaged_record_names_are_not_known(folder: Path) -> None:
    log = [framed(event(step, Value(tag="loss", simple_value=1.0))) for step in range(1, 100)]
    log[50] = log[50].replace(b"loss", b"lost")
    path = folder / "renamed"
    path.write_bytes(b"".join(log))
    points = read_points(RecordFile(path))
    assert set(points.tags) == {"loss"}
    assert points.problems[0].text == "wrong checksum of record 51: left out"


def test_tags_with_equal_sums_are_told_apart(folder: Path) -> None:
    log = [
        event(step, Value(tag=tag, simple_value=1.0))
        for step in range(100)
        for tag in ("loss/a_tag_of_words", "loss/b_tag_of_words")
    ]
    path = folder / "sums"
    path.write_bytes(b"".join(map(framed, log)))
    with patch.object(tf_columns, "_MIXER", 0):
        frame = assert_same(path)
    assert frame["name"].value_counts().to_dict() == {
        "loss/a_tag_of_words": 100,
        "loss/b_tag_of_words": 100,
    }


@pytest.mark.parametrize("kind", [DT_INT32, DT_INT64])
def test_whole_numbers_in_packed_fields_are_read(folder: Path, kind: int) -> None:
    name = "int_val" if kind == DT_INT32 else "int64_val"
    path = folder / "packed"
    path.write_bytes(
        b"".join(
            framed(event(step, Value(tag="n", tensor=tensor(kind, **{name: [-step]}))))
            for step in range(3)
        )
    )
    assert read(path, 1)[1]["value"].tolist() == [0, -1, -2]


def test_a_step_of_more_than_64_bits_is_cut_as_protocol_buffers_cut_it(folder: Path) -> None:
    payload = b"\x10" + b"\xff" * 9 + b"\x7f" + event(0, Value(tag="loss", simple_value=1.0))
    path = folder / "long"
    path.write_bytes(framed(payload))
    assert read(path, 1)[1]["step"].tolist() == [-1]


def test_a_tag_as_long_as_a_file_is_no_tag(folder: Path) -> None:
    path = folder / "tag"
    path.write_bytes(framed(event(1, Value(tag="x" * 20_000, simple_value=1.0))))
    points = read_points(RecordFile(path))
    assert points.tags == {}
    assert points.problems[0].text == "record 1 is no event: a tag of 20,000 bytes"


def test_a_file_of_rubbish_tells_a_bounded_number_of_problems(folder: Path) -> None:
    path = folder / "rubbish"
    path.write_bytes(framed(b"\x07") * (tf_points.MAX_PROBLEMS + 5))
    problems = read_points(RecordFile(path)).problems
    assert len(problems) == tf_points.MAX_PROBLEMS + 1
    assert problems[-1].text == "5 more records could not be read"


def counted_one_by_one(code: list[int], step: list[int]) -> list[int]:
    segment, seen, counted = 0, {}, []
    for tag, now in zip(code, step, strict=True):
        if tag in seen and now < seen[tag]:
            segment, seen = segment + 1, {}
        seen[tag] = now
        counted.append(segment)
    return counted


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-2, 6)), max_size=60))
def test_restarts_are_counted_at_the_first_tag_that_falls_back(points: list) -> None:
    code = np.array([tag for tag, _ in points], dtype=np.int32)
    step = np.array([step for _, step in points], dtype=np.int64)
    assert segments(code, step).tolist() == counted_one_by_one(code.tolist(), step.tolist())
