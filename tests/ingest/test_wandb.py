from __future__ import annotations

import json
import math
import os
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import loganalyze as la
from loganalyze.ingest import ingesters, wandb_run
from loganalyze.ingest.discover import discover
from loganalyze.ingest.ingester import Table
from loganalyze.ingest.wandb_files import command_settings
from loganalyze.ingest.wandb_log import records
from loganalyze.run import EventKind, Problem, Run, Status

WRITER = Path(__file__).parent / "wandb_writer.py"
CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus" / "wandb"
BLOCK = 32_768


# What the real SDK writes


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a function that yields the directory a scenario of `wandb_writer.py` wrote."""
    home = tmp_path_factory.mktemp("wandb")
    environment = {
        **os.environ, "HOME": str(home), "WANDB_SILENT": "true", "WANDB_MODE": "offline",
        "WANDB_ERROR_REPORTING": "false", "WANDB_CACHE_DIR": str(home), "WANDB_DATA_DIR": str(home),
    }  # fmt: skip

    def write(scenario: str) -> Path:
        folder = home / scenario
        if not folder.exists():
            folder.mkdir()
            command = [sys.executable, str(WRITER), str(folder), scenario]
            subprocess.run(command, env=environment, timeout=120, check=False, capture_output=True)
        return folder

    return write


def points(run: Run, metric: str) -> list[tuple[int, float]]:
    rows = run.metrics[run.metrics["metric"] == metric]
    return list(zip(rows["step"].tolist(), rows["value"].tolist(), strict=True))


def same(one: list[tuple[int, float]], two: list[tuple[int, float]]) -> bool:
    return [p[0] for p in one] == [p[0] for p in two] and np.array_equal(
        [p[1] for p in one], [p[1] for p in two], equal_nan=True
    )


def test_every_point_comes_back_at_the_trainer_s_step(written: Any) -> None:
    folder = written("curves")
    run = la.load(folder)
    expected: dict[str, list[tuple[int, float]]] = {}
    for entry in json.loads(folder.with_suffix(".json").read_text()):
        step, block = entry.pop("train/global_step"), entry.pop("block", None)
        entry.pop("train/epoch", None)
        if block:
            entry["block/attention/scale"] = block["attention"]["scale"]
            entry["block/gain"] = block["gain"]
        for name, value in entry.items():
            expected.setdefault(name, []).append((step, value))
    expected["own"] = [(200, 7.0)]  # without a step: at the one before it
    assert len(expected["train/loss"]) == 36
    assert any(math.isnan(value) for _, value in expected["train/loss"])
    for name, wanted in expected.items():
        assert same(points(run, name), wanted), name
    system = run.metrics["name"].str.startswith("system.").to_numpy()
    assert set(run.metrics["metric"][~system]) == set(expected)


def test_a_record_s_epoch_time_and_number_come_with_its_points(written: Any) -> None:
    run = la.load(written("curves"))
    series = run.series("train/loss")
    np.testing.assert_allclose(series.epoch, [c / 10 for c in range(40) if c % 10 != 9])
    assert (np.diff(series.time) >= 0).all()
    assert run.started is not None
    assert 0 <= series.time[0] - run.started < 60
    assert (np.diff(series.row) > 0).all()
    assert str(series.where(0)).rpartition(":")[0].endswith(".wandb")


def test_settings_status_and_framework_are_read(written: Any) -> None:
    run = la.load(written("curves"))
    assert run.status is Status.COMPLETED
    assert run.framework == "hf-trainer"
    values = {key: item.value for key, item in run.config.items()}
    assert values == {"learning_rate": 1e-5, "optim.name": "sgd", "late": True}


def test_samples_of_the_system_stand_at_the_step_reached(written: Any) -> None:
    run = la.load(written("plain"))
    memory = run.series("host/memory_rss")
    assert len(memory)
    assert set(memory.step.tolist()) <= set(range(10))
    assert (memory.value > 1).all()  # megabytes of a Python process


def test_an_exception_is_a_crash_in_one_run_with_its_output(written: Any) -> None:
    run = la.load(written("plain"))
    assert run.others == ()
    assert run.status is Status.CRASHED
    assert {source.format for source in run.sources} == {"wandb", "text"}
    (event,) = run.events_of(EventKind.TRACEBACK)
    assert event.data["exception"] == "RuntimeError"
    assert same(points(run, "train/loss"), [(step, 1.0 - step / 10) for step in range(10)])


def test_a_killed_run_keeps_what_reached_the_disk(written: Any) -> None:
    run = la.load(written("killed"))
    assert run.status is not Status.COMPLETED
    found = points(run, "train/loss")
    assert len(found) > 100
    assert found == [(step, 1.0 / (step + 1)) for step in range(len(found))]


def test_a_resumed_run_is_one_run_and_supersedes_what_it_logs_again(written: Any) -> None:
    run = la.load(written("resumed"))
    assert run.others == ()
    series = run.series("train/loss")
    assert series.step.tolist() == list(range(160))
    assert series.value.tolist() == [1.0] * 60 + [2.0] * 100
    assert len(points(run, "train/loss")) == 200


def test_reading_writes_nothing_and_needs_no_wandb(written: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(written("curves"), folder, symlinks=True)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    code = (
        "import sys; sys.modules['wandb'] = None; sys.dont_write_bytecode = True\n"
        "import loganalyze; run = loganalyze.load(sys.argv[1]); assert len(run.series('train/loss')) == 36"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(WRITER.parents[2])}
    subprocess.run(command, check=True, timeout=120, cwd=tmp_path, env=environment)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_the_sdk_s_own_logs_are_no_training_logs(written: Any) -> None:
    folder = written("plain") / "wandb"
    assert (folder / "debug.log").is_symlink()
    tables = discover(folder, ingesters()).tables
    assert not [table for table in tables if "debug" in table.source]


@pytest.mark.parametrize("where", ["latest-run", "file"])
def test_a_run_is_read_by_link_and_by_file(written: Any, where: str) -> None:
    folder = written("plain") / "wandb"
    (file,) = folder.glob("offline-run-*/run-*.wandb")
    run = la.load(folder / "latest-run" if where == "latest-run" else file)
    assert len(run.series("train/loss")) == 10
    assert run.others == ()


# Files made here, by the rules of the format


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def message(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def item(value: str, *keys: str, nested: bool = True) -> bytes:
    parts = b"".join(message(2 if nested else 1, key.encode()) for key in keys)
    return parts + message(16, value.encode())


def history(**values: object) -> bytes:
    items = [message(1, item(text(value), name)) for name, value in values.items()]
    return message(2, b"".join(items))


def text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def framed(payloads: Iterable[bytes]) -> bytes:
    out = bytearray(struct.pack("<4sHB", b":W&B", 0xBEE1, 0))
    for payload in payloads:
        is_first = True
        while True:
            room = BLOCK - len(out) % BLOCK - 7
            if room < 0:
                out += bytes(room + 7)
                continue
            part, payload = payload[:room], payload[room:]
            kind = {(1, 1): 1, (1, 0): 2, (0, 0): 3, (0, 1): 4}[is_first, not payload]
            checksum = zlib.crc32(part, zlib.crc32(bytes([kind])))
            out += struct.pack("<IHB", checksum, len(part), kind) + part
            is_first = False
            if not payload:
                break
    return bytes(out)


def read(folder: Path, *payloads: bytes, data: bytes | None = None) -> Table:
    path = folder / "run-x.wandb"
    path.write_bytes(framed(payloads) if data is None else data)
    (table,) = wandb_run.read(path, path)
    return table


def rows(table: Table, metric: str) -> list[tuple[int, float]]:
    assert table.metrics is not None
    chosen = table.metrics[table.metrics["metric"] == metric]
    return list(zip(chosen["step"].tolist(), chosen["value"].tolist(), strict=True))


@settings(deadline=None)
@given(
    values=st.lists(
        st.dictionaries(
            st.text(min_size=1, max_size=200).filter(lambda key: not key.startswith("_")),
            st.floats(allow_nan=True, allow_infinity=True) | st.integers(-(2**80), 2**80),
            max_size=6,
        ),
        max_size=30,
    ),
    nested=st.booleans(),
)
def test_any_number_under_any_name_comes_back(
    tmp_path_factory: pytest.TempPathFactory, values: list[dict[str, float]], nested: bool
) -> None:
    payloads = [
        message(2, b"".join(message(1, item(text(v), k, nested=nested)) for k, v in entry.items()))
        for entry in values
    ]
    table = read(tmp_path_factory.mktemp("any"), *payloads)
    assert table.metrics is not None
    found = sorted(zip(table.metrics["row"], table.metrics["name"], map(repr, table.metrics["value"]), strict=True))  # fmt: skip
    axes = {"epoch", "train/epoch", "trainer/epoch", "global_step"}
    assert found == sorted(
        (row, key, repr(float(value)))
        for row, entry in enumerate(values, start=1)
        for key, value in entry.items()
        if key not in axes
    )


def test_older_files_hold_flat_keys_and_whole_dictionaries(tmp_path: Path) -> None:
    nested = '{"a": 1, "b": {"c": NaN, "d": "text", "image": {"_type": "image-file", "width": 9}}}'
    media = '{"_type": "histogram", "values": [1, 2], "bins": 3}'
    items = [item("1.5", "loss", nested=False), item(nested, "n", nested=False),
             item(media, "weights", nested=False), item('"Infinity"', "top", nested=False),
             item("4", "_step", nested=False)]  # fmt: skip
    table = read(tmp_path, message(2, b"".join(message(1, entry) for entry in items)))
    assert table.metrics is not None
    assert set(table.metrics["metric"]) == {"train/loss", "n/a", "n/b/c", "top"}
    assert rows(table, "train/loss") == [(4, 1.5)]
    assert rows(table, "top") == [(4, math.inf)]


def test_parts_of_media_are_no_metrics(tmp_path: Path) -> None:
    image = [item('"image-file"', "sample", "_type"), item("640", "sample", "width")]
    first = message(2, b"".join(message(1, entry) for entry in [*reversed(image), item("2", "x")]))
    table = read(tmp_path, first)
    assert table.metrics is not None
    assert set(table.metrics["metric"]) == {"x"}


def test_a_restart_inside_a_file_is_counted_once(tmp_path: Path) -> None:
    steps = [
        (10, "loss"),
        (20, "loss"),
        (20, "eval_loss"),
        (10, "loss"),
        (10, "eval_loss"),
        (20, "loss"),
    ]
    table = read(tmp_path, *[history(**{key: 1.0, "global_step": at}) for at, key in steps])
    assert table.metrics is not None
    assert table.metrics["segment"].tolist() == [0, 0, 0, 1, 1, 1]


def test_what_the_trainer_sums_up_is_no_point_of_the_loss(tmp_path: Path) -> None:
    end = {"train/train_runtime": 9.0, "train/train_loss": 1.7, "train/global_step": 20}
    table = read(tmp_path, history(**{"train/loss": 2.0, "train/global_step": 10}), history(**end))
    assert rows(table, "train/loss") == [(10, 2.0)]
    assert rows(table, "summary/train_loss") == [(20, 1.7)]
    (event,) = table.events
    assert (event.kind, event.step, event.where.row) == (EventKind.TRAIN_END, 20, 2)


def test_a_summary_record_of_the_trainer_ends_the_training(tmp_path: Path) -> None:
    summary = message(3, message(1, item("9.5", "train_runtime", nested=False)))
    table = read(tmp_path, history(loss=1.0, _step=7), summary)
    (event,) = table.events
    assert (event.kind, event.step, event.where.row) == (EventKind.TRAIN_END, 7, 2)


@pytest.mark.parametrize("field", ["2", "3"])
def test_an_exit_code_says_how_the_run_ended(tmp_path: Path, field: str) -> None:
    assert read(tmp_path, message(18, b"")).facts.status is Status.COMPLETED
    failed = message(18, varint(1 << 3) + varint(int(field)))
    assert read(tmp_path, failed).facts.status is Status.CRASHED
    negative = message(18, varint(1 << 3) + varint(2**64 - 9))
    assert read(tmp_path, negative).facts.status is Status.CRASHED


def run_folder(root: Path, name: str = "run-20240101_120000-abc", **files: bytes | str) -> Path:
    folder = root / "wandb" / name
    (folder / "files").mkdir(parents=True)
    for key, content in files.items():
        path = folder / "files" / key.replace("__", ".").replace("_", "-")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def test_without_a_record_file_the_small_ones_are_read(tmp_path: Path) -> None:
    metadata = {"args": ["--lr", "3e-4", "--bf16", "seed=1"], "startedAt": "2024-01-01T12:00:00.5Z",
                "state": "failed"}  # fmt: skip
    run_folder(
        tmp_path,
        output__log="".join(f"step {n} loss {4 / n:.4f}\n" for n in range(1, 20)),
        config__yaml="_wandb:\n  value: {cli_version: 1}\nbatch_size:\n  desc: null\n  value: 16\n",
        wandb_metadata__json=json.dumps(metadata),
        wandb_summary__json='{"loss": 0.2, "acc": NaN, "_timestamp": 1}',
    )
    run = la.load(tmp_path)
    assert run.others == ()
    assert len(run.metrics) == 19
    assert run.status is Status.CRASHED
    assert run.started == 1_704_110_400.5
    values = {key: item.value for key, item in run.config.items()}
    assert values == {"lr": 3e-4, "bf16": True, "seed": 1, "batch_size": 16}
    (problem,) = [p for source in run.sources for p in source.problems]
    assert "last values of 2 metrics" in problem.text
    assert not problem.lossy


def test_last_values_alone_are_no_curve(tmp_path: Path) -> None:
    run_folder(tmp_path, wandb_summary__json='{"loss": 0.2}')
    with pytest.raises(la.NothingReadable, match="last values of 1 metrics"):
        la.load(tmp_path)


def test_metadata_that_still_says_running_proves_nothing(tmp_path: Path) -> None:
    run_folder(tmp_path, wandb_metadata__json='{"state": "running"}')
    (table,) = discover(tmp_path, [wandb_run.INGESTER]).tables
    assert table.facts.status is None


def test_a_run_without_numbers_lends_its_neighbour_nothing(tmp_path: Path) -> None:
    run_folder(tmp_path, "run-20240101_120000-abc", config__yaml="lr: {value: 1}")
    good = run_folder(tmp_path, "run-20240102_120000-def", config__yaml="wd: {value: 2}")
    (good / "run-def.wandb").write_bytes(framed([history(loss=1.0), history(loss=0.5)]))
    assert set(la.load(tmp_path).config) == {"wd"}


def test_what_was_printed_is_read_from_the_records_where_no_file_holds_it(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, output__log="")
    trace = (
        'Traceback (most recent call last):\n  File "t.py", line 3, in <module>\nValueError: no\n'
    )
    lines = [message(13, message(3, part.encode())) for part in (trace[:20], trace[20:])]
    (folder / "run-abc.wandb").write_bytes(framed([history(loss=1.0), *lines]))
    (event,) = la.load(tmp_path).events
    assert event.data["exception"] == "ValueError"


def test_a_copied_record_file_does_not_hide_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "run-abc.wandb").write_bytes(framed([history(loss=1.0), history(loss=0.5)]))
    (tmp_path / "train.log").write_text(
        "".join(f"step {n} loss {4 / n:.3f}\n" for n in range(1, 9))
    )
    assert {source.format for source in la.load(tmp_path).sources} == {"wandb", "text"}


def test_records_that_are_no_message_are_counted(tmp_path: Path) -> None:
    table = read(tmp_path, history(loss=1.0), b"\xff\xff", b"\x12\x7f", history(loss=2.0))
    assert [value for _, value in rows(table, "train/loss")] == [1.0, 2.0]
    (problem,) = table.problems
    assert (problem.row, problem.text[:9]) == (2, "2 records")


def test_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "config.yaml").write_text("lr: {value: 1}")
    (outside / "run-abc.wandb").write_bytes(framed([history(loss=1.0)]))
    folder = tmp_path / "root" / "run-20240101_120000-abc"
    folder.mkdir(parents=True)
    (folder / "files").symlink_to(outside)
    (folder / "run-abc.wandb").symlink_to(outside / "run-abc.wandb")
    assert all(not table.config and table.metrics is None
               for table in discover(tmp_path / "root", [wandb_run.INGESTER]).tables)  # fmt: skip


def test_an_empty_record_file_is_remarked(tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    (folder / "run-abc.wandb").touch()
    (table,) = discover(tmp_path, [wandb_run.INGESTER]).tables
    (problem,) = table.problems
    assert not problem.lossy


@pytest.mark.parametrize(
    ("arguments", "known"),
    [
        (["--lr=1e-3", "--warmup-steps", "5"], {"lr": 1e-3, "warmup_steps": 5}),
        (["--fp16", "--seed", "-1", "run.yaml"], {"fp16": True, "seed": -1}),
        (["optim.lr=0.1", "+model=big", "-h"], {"optim.lr": 0.1, "model": "big", "h": True}),
        ([], {}),
    ],
)
def test_a_command_line_holds_settings(arguments: list[str], known: dict[str, Any]) -> None:
    assert command_settings(arguments) == known


# Damage


def payloads_of(data: bytes) -> tuple[list[bytes], list[Problem]]:
    problems: list[Problem] = []
    return [payload for _, payload in records(memoryview(data), problems)], problems


PAYLOADS = st.lists(st.binary(max_size=300) | st.binary(min_size=1, max_size=3).map(lambda b: b * 20_000), max_size=12)  # fmt: skip


@settings(deadline=None)
@given(payloads=PAYLOADS)
def test_records_of_any_size_come_back_whole(payloads: list[bytes]) -> None:
    assert payloads_of(framed(payloads)) == (payloads, [])


@settings(deadline=None)
@given(payloads=PAYLOADS, data=st.data())
def test_of_a_file_cut_anywhere_all_complete_records_are_kept(
    payloads: list[bytes], data: st.DataObject
) -> None:
    whole = framed(payloads)
    end = data.draw(st.integers(7, len(whole)))
    complete = sum(len(framed(payloads[:count])) <= end for count in range(1, len(payloads) + 1))
    found, problems = payloads_of(whole[:end])
    assert found == payloads[:complete]
    assert len(problems) <= 1
    assert all("cut off" in problem.text for problem in problems)


@settings(deadline=None)
@given(payloads=PAYLOADS.filter(len), data=st.data())
def test_a_flipped_bit_costs_no_record_outside_its_block_and_invents_none(
    payloads: list[bytes], data: st.DataObject
) -> None:
    whole = bytearray(framed(payloads))
    bit = data.draw(st.integers(7 * 8, len(whole) * 8 - 1))
    whole[bit // 8] ^= 1 << bit % 8
    found, problems = payloads_of(bytes(whole))
    assert len(problems) <= 2
    left = list(payloads)
    for payload in found:  # in order, and nothing that was not written
        del left[: left.index(payload) + 1]
    before = sum(len(framed(payloads[:count])) <= bit // 8 for count in range(1, len(payloads) + 1))
    assert found[:before] == payloads[:before]


@settings(deadline=None)
@given(data=st.binary(max_size=400))
def test_any_bytes_behind_the_header_are_records_or_problems(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    table = read(tmp_path_factory.mktemp("raw"), data=framed([]) + data)
    assert table.metrics is not None
    assert len(table.metrics) == 0 or data


@settings(deadline=None)
@given(payloads=st.lists(st.binary(max_size=60).map(lambda b: message(2, b)) | st.binary(max_size=60), max_size=8))  # fmt: skip
def test_any_message_in_a_sound_record_is_read_or_told(
    tmp_path_factory: pytest.TempPathFactory, payloads: list[bytes]
) -> None:
    assert read(tmp_path_factory.mktemp("raw"), *payloads).metrics is not None


def test_a_file_of_another_kind_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "run-x.wandb").write_bytes(b":W&B\0\0\0 and more")
    (table,) = discover(tmp_path, [wandb_run.INGESTER]).tables
    assert "no W&B record file" in table.problems[0].text


def test_deep_nesting_costs_only_its_value(tmp_path: Path) -> None:
    deep = '{"a":' * 100_000 + "1" + "}" * 100_000
    setting = message(5, message(1, item(deep, "deep")) + message(1, item("3", "lr")))
    table = read(tmp_path, setting, history(x=deep, loss=1.0))
    assert table.config["lr"].value == 3
    assert rows(table, "train/loss") == [(0, 1.0)]


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real runs is not here")
def test_real_directories_are_read_without_an_error() -> None:
    for folder in CORPUS.iterdir():
        for table in discover(folder, [wandb_run.INGESTER]).tables:
            assert not [problem for problem in table.problems if problem.lossy], table.source
    run = la.load(CORPUS / "22pilarskil__yolov5_test")
    assert run.status is Status.COMPLETED
    assert points(run, "train/obj_loss")[0] == (0, 0.04098791256546974)
    others = [la.load(CORPUS / "22pilarskil__yolov5_test", run=name) for name in run.others]
    assert {other.status for other in others} == {Status.CRASHED}
