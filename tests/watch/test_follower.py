import csv
import json
import random
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as configured
from hypothesis import strategies as st
from tensorboardX import SummaryWriter

from loganalyze.diagnosis import diagnose
from loganalyze.errors import NothingReadable, UsageError
from loganalyze.ingest import load_all
from loganalyze.watch.follower import Follower
from tests.watch.test_text_log import log


def numbers(points: int = 60) -> list[dict[str, float]]:
    noise = random.Random(0)
    return [{"step": s, "loss": 3 / s + noise.random(), "lr": 1e-3} for s in range(1, points + 1)]


def as_lines() -> bytes:
    return "".join(f"{json.dumps(point)}\n" for point in numbers()).encode()


def as_csv() -> bytes:
    out = StringIO()
    writer = csv.DictWriter(out, ["step", "loss", "lr"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(numbers())
    return out.getvalue().encode()


@pytest.fixture(scope="session")
def events(tmp_path_factory) -> bytes:
    folder = tmp_path_factory.mktemp("events")
    with SummaryWriter(str(folder)) as writer:
        for point in numbers():
            writer.add_scalar("train/loss", point["loss"], int(point["step"]))
    return next(folder.iterdir()).read_bytes()


def same(followed: list, read: list) -> None:
    assert [run.name for run in followed] == [run.name for run in read]
    for left, right in zip(followed, read, strict=True):
        pd.testing.assert_frame_equal(left.metrics, right.metrics)
        assert left.events == right.events
        assert left.config == right.config
        assert left.sources == right.sources
        assert left.status == right.status
        assert left.preferred == right.preferred


@configured(max_examples=15)
@given(
    name=st.sampled_from(["train.log", "metrics.jsonl", "log.csv", "events.out.tfevents.1.host"]),
    cuts=st.lists(st.floats(0, 1), min_size=1, max_size=6),
    beside=st.booleans(),
)
def test_following_a_file_as_it_grows_ends_with_what_reading_it_gives(
    tmp_path_factory, events, name, cuts, beside
):
    root = tmp_path_factory.mktemp("run")
    data = {"train.log": log(80), "metrics.jsonl": as_lines(), "log.csv": as_csv()}.get(
        name, events
    )
    if beside:
        (root / "config.json").write_text('{"learning_rate": 0.001, "max_steps": 500}')
    follower = Follower(str(root))
    for cut in sorted(cuts):
        (root / name).write_bytes(data[: int(cut * len(data))])
        try:
            for run in follower.read():
                assert not any(p.lossy for source in run.sources for p in source.problems), (
                    "it is only unfinished"
                )
        except NothingReadable:
            pass
    (root / name).write_bytes(data)
    follower.read()
    assert follower.changed(), "once more, when nobody has written for a while"
    same(follower.read(), load_all(root))
    assert not follower.changed()


def test_values_of_an_unfinished_line_are_never_seen(tmp_path: Path):
    data, path = as_csv(), tmp_path / "log.csv"
    follower, truth = Follower(str(tmp_path)), {point["step"]: point["loss"] for point in numbers()}
    for end in range(200, 420):
        path.write_bytes(data[:end])
        series = follower.read()[0].series("train/loss")
        assert all(
            truth[step] == value
            for step, value in zip(series.step.tolist(), series.value, strict=True)
        )


def test_what_did_not_change_is_not_read_again(tmp_path: Path):
    (tmp_path / "metrics.jsonl").write_bytes(as_lines())
    (tmp_path / "config.json").write_text('{"learning_rate": 0.001, "max_steps": 500}')
    follower = Follower(str(tmp_path))
    for _ in range(2):
        follower.read()
    before = follower.readings
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 61, "loss": 1.0, "lr": 0.001}\n')
    assert follower.changed()
    assert len(follower.read()[0].series("train/loss")) == 61
    assert follower.readings == before + 1


def test_a_rotated_log_is_followed(tmp_path: Path):
    path, follower = tmp_path / "train.log", Follower(str(tmp_path))
    text = "".join(f"step {s} loss {3 / s:.4f}\n" for s in range(1, 201)).encode()
    half = text.index(b"step 101 ")
    path.write_bytes(text[:half])
    assert len(follower.read()[0].series("train/loss")) == 100
    path.rename(tmp_path / "train.log.1")
    path.write_bytes(text[half:])
    follower.read()
    found = follower.read()
    same(found, load_all(tmp_path))
    assert len(found[0].series("train/loss")) == 200


def test_a_truncated_log_is_read_anew(tmp_path: Path):
    path, follower = tmp_path / "train.log", Follower(str(tmp_path))
    path.write_text("".join(f"step {s} loss {3 / s:.4f}\n" for s in range(1, 201)))
    follower.read()
    path.write_text("".join(f"step {s} loss {9 / s:.4f}\n" for s in range(1, 31)))
    follower.read()
    same(follower.read(), load_all(tmp_path))


def test_a_restart_in_a_new_event_file_is_one_run(tmp_path: Path):
    follower = Follower(str(tmp_path))
    for start, suffix in ((1, ".a"), (40, ".b")):
        with SummaryWriter(str(tmp_path), filename_suffix=suffix) as writer:
            for step in range(start, start + 60):
                writer.add_scalar("train/loss", 3 / step, step, walltime=1.7e9 + step)
        follower.read()
    found = follower.read()
    same(found, load_all(tmp_path))
    assert found[0].last_step == 99


def test_a_state_that_is_written_over_just_now_keeps_what_was_read(tmp_path: Path):
    state = {
        "log_history": [{"step": s, "loss": 3 / s, "epoch": s / 50} for s in range(1, 30)],
        "max_steps": 100,
    }
    path, follower = tmp_path / "trainer_state.json", Follower(str(tmp_path))
    whole = json.dumps(state | {"global_step": 29, "best_metric": None}).encode()
    path.write_bytes(whole)
    before = follower.read()[0]
    path.write_bytes(whole[:20])
    after = follower.read()[0]
    assert len(after.series("train/loss")) == len(before.series("train/loss")) == 29


def test_the_diagnosis_is_that_of_reading(tmp_path: Path):
    path, follower = tmp_path / "train.log", Follower(str(tmp_path))
    text = "".join(
        f"step {s} loss {'nan' if s > 150 else f'{3 / s:.4f}'}\n" for s in range(1, 201)
    ).encode()
    for end in range(500, len(text), 700):
        path.write_bytes(text[:end])
        follower.read()
    path.write_bytes(text)
    follower.read()
    found, read = diagnose(follower.read()[0]), diagnose(load_all(tmp_path)[0])
    assert found.findings == read.findings
    assert found.causes == read.causes
    assert found.verdict == read.verdict


def test_standard_input_cannot_be_watched():
    with pytest.raises(UsageError, match="cannot be watched"):
        Follower("-")


def test_a_path_that_is_not_there_yet(tmp_path: Path):
    follower = Follower(str(tmp_path / "later"))
    with pytest.raises(NothingReadable):
        follower.read()
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "metrics.jsonl").write_bytes(as_lines())
    assert follower.changed()
    assert follower.read()[0].last_step == 60
