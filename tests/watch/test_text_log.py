import random
from io import BytesIO
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as configured
from hypothesis import strategies as st

from loganalyze.ingest import stdout
from loganalyze.ingest.text_layout import lay_out
from loganalyze.ingest.text_lines import windows
from loganalyze.ingest.text_reader import Reader
from loganalyze.watch.text_log import TextLog


def log(lines: int, seed: int = 0) -> bytes:
    """A log of several kinds of lines."""
    noise, text = random.Random(seed), ["Namespace(lr=0.001, batch_size=8)"]
    for step in range(1, lines + 1):
        text.append(f"step {step}/{lines} loss {3 / step + noise.random():.4f} lr 1e-3")
        if step % 7 == 0:
            text.append(f"\r 10%|#  | {step}/{lines} [00:01<00:09, 3.1it/s]\x1b[0m")
        if step % 11 == 0:
            record = {"loss": round(noise.random(), 3), "grad_norm": 1.5, "epoch": step / 50}
            text.append(str(record))
        if step % 13 == 0:
            text.append("WARNING: gar\xfcbage \u2713 nothing to see here")
        if step % 29 == 0:
            text += [
                "Traceback (most recent call last):",
                '  File "a.py", line 3, in f',
                "ValueError: caught",
            ]
        if step % 31 == 0:
            text.append(f"val_loss: {noise.random():.3f} at step {step}")
    return "\n".join(text).encode("utf-8") + b"\n"


def windowed(data: bytes, window: int):
    """Read a whole log in windows of this size, as the ordinary reader does."""
    problems, reader = [], Reader("train.log")
    for lines in windows(BytesIO(data), problems, window):
        reader.feed(lines)
    return lay_out(reader)


def same(table, layout) -> None:
    pd.testing.assert_frame_equal(table.frame, layout.metrics)
    assert table.events == layout.events
    assert table.facts == layout.facts


@configured(max_examples=30)
@given(
    cuts=st.lists(st.integers(0, 30_000), max_size=8),
    window=st.sampled_from([256, 700, 4096, 1 << 20]),
    seed=st.integers(0, 3),
)
def test_reading_on_gives_what_reading_the_whole_gives(tmp_path_factory, cuts, window, seed):
    data, path = log(300, seed), tmp_path_factory.mktemp("log") / "train.log"
    followed = TextLog("train.log", ".", window)
    for cut in sorted(cuts):
        path.write_bytes(data[:cut])
        followed.read(path, settled=False)
    path.write_bytes(data)
    same(followed.read(path, settled=False), windowed(data, window))


def test_a_line_without_an_end_waits(tmp_path: Path):
    path = tmp_path / "train.log"
    path.write_bytes(b"step 1 loss 2.5\nstep 2 loss 2.4\nstep 3 loss 2")
    followed = TextLog("train.log", ".")
    assert list(followed.read(path, settled=False).frame["value"]) == [2.5, 2.4]
    assert list(followed.read(path, settled=True).frame["value"]) == [2.5, 2.4, 2.0]
    path.write_bytes(b"step 1 loss 2.5\nstep 2 loss 2.4\nstep 3 loss 2.31\n")
    assert list(followed.read(path, settled=False).frame["value"]) == [2.5, 2.4, 2.31]


def test_what_was_read_is_not_read_again(tmp_path: Path):
    path, data, window = tmp_path / "train.log", log(6000), 1 << 14
    followed, per_refresh = TextLog("train.log", ".", window), []
    for end in range(20_000, len(data), 1000):
        path.write_bytes(data[:end])
        before = followed.taken
        followed.read(path, settled=False)
        per_refresh.append(followed.taken - before)
    # The first one reads all there is. Each next: at most two windows more than what is new, however long the log is.
    assert max(per_refresh[1:]) <= 2 * window + 1000
    assert len(data) > 10 * window


@pytest.mark.parametrize("how", ["truncated", "replaced"])
def test_another_log_under_the_same_name_is_read_anew(tmp_path: Path, how: str):
    path = tmp_path / "train.log"
    path.write_bytes(log(2000, 1))
    followed = TextLog("train.log", ".", 4096)
    followed.read(path, settled=False)
    data = log(400, 2).replace(b"Namespace(lr=0.001", b"Namespace(lr=0.5")
    if how == "replaced":
        path.rename(tmp_path / "train.log.1")
    path.write_bytes(data)
    same(followed.read(path, settled=False), windowed(data, 4096))


def test_wide_characters_are_left_to_the_ordinary_reader(tmp_path: Path):
    path = tmp_path / "train.log"
    path.write_bytes("step 1 loss 2.5\n".encode("utf-16"))
    assert TextLog("train.log", ".").read(path, settled=False) is None


def test_it_is_the_table_that_the_ingester_reads(tmp_path: Path):
    path = tmp_path / "train.log"
    path.write_bytes(log(100))
    (table,) = stdout.INGESTER.read(path, tmp_path)
    followed = TextLog("train.log", ".").read(path, settled=True)
    pd.testing.assert_frame_equal(followed.frame, table.frame)
    assert (followed.events, followed.facts, followed.config) == (
        table.events,
        table.facts,
        table.config,
    )
