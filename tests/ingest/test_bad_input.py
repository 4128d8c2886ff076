"""Whatever lies in a run directory: one clear problem on that source, and the rest is read."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import loganalyze as la
from loganalyze.errors import NothingReadable
from loganalyze.ingest import discover, text_lines
from loganalyze.run import Run

GOOD = "".join(f"step {s} loss={3 - s / 100:.4f} lr=1e-4\n" for s in range(1, 101))


def with_neighbour(folder: Path) -> Run:
    """Read `folder` with one good log beside what it holds; the log's points must be there."""
    (folder / "good.log").write_text(GOOD)
    run = next(run for run in la.ingest.load_all(folder) if "good.log" in str(run.sources))
    own = run.metrics[run.metrics["source"] == "good.log"]
    assert len(own) == 200
    assert own["value"].iloc[0] == 2.99
    return run


def problems(run: Run, source: str) -> list[str]:
    return [p.text for item in run.sources if item.path == source for p in item.problems]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.log", b"", "empty file"),
        ("trainer_state.json", b"", "empty file"),
        ("events.out.tfevents.1.host", b"\x00" * 40, "no TensorBoard event file"),
        ("events.out.tfevents.2.host", b"no event file at all, but long enough for a header", "no TensorBoard"),
        ("trainer_state.json", b'{"log_history": [{"loss": 1.0, "step"', "no JSON"),
        ("trainer_state.json", b"\xff\xfe\x00garbage" * 50, "no JSON"),
        ("model.log", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        ("config.yaml", b"a: [1, 2", "YAML"),
        ("mlflow.db", b"SQLite format 3\x00" + b"\x01" * 500, "damaged database"),
        ("training_args.bin", b"PK\x03\x04broken", ""),
    ],
)  # fmt: skip
def test_a_broken_file_is_a_problem_of_its_own(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    found = problems(with_neighbour(tmp_path), name)
    assert len(found) <= 1
    if words:
        assert words.lower() in found[0].lower()
        assert "\n" not in found[0]


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-be", "latin-1", "utf-8-sig", "cp1252"])
def test_other_encodings(tmp_path: Path, codec: str) -> None:
    mark = "\ufeff" if codec == "utf-16-be" else ""
    text = mark + "d\u00e9j\u00e0 vu\n".join(GOOD.splitlines(keepends=True))
    (tmp_path / "train.log").write_bytes(text.encode(codec))
    run = la.load(tmp_path / "train.log")
    assert len(run.series("train/loss")) == 100


def test_binary_data_with_the_name_of_a_log_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "core.log").write_bytes(os.urandom(20_000) + b"\0")
    with_neighbour(tmp_path)


def test_one_line_larger_than_memory_should_hold_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "huge.log"
    with path.open("wb") as file:
        for _ in range(40):
            file.write(b"x" * (1 << 20))
        file.write(b"\n" + GOOD.encode())
    run = la.load(path)
    assert len(run.series("train/loss")) == 100
    assert any("left out" in text for text in problems(run, "huge.log"))


def test_a_long_log_is_read_window_by_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.log").write_text(GOOD)
    whole = la.load(tmp_path / "train.log").metrics
    for size in (7, 64, 1000):
        monkeypatch.setattr(text_lines.windows, "__defaults__", (size,))
        assert la.load(tmp_path / "train.log").metrics.equals(whole)


def test_pipes_sockets_and_links_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    os.mkfifo(tmp_path / "run" / "pipe.log")
    (tmp_path / "run" / "loop.log").symlink_to("loop.log")
    (tmp_path / "run" / "out.log").symlink_to("/etc/passwd")
    (tmp_path / "run" / "down").mkdir()
    (tmp_path / "run" / "down" / "up").symlink_to("..")
    here = Path.cwd()
    with socket.socket(socket.AF_UNIX) as bound:
        os.chdir(tmp_path / "run")
        try:
            bound.bind("s.log")
        finally:
            os.chdir(here)
        run = with_neighbour(tmp_path / "run")
    assert "not opened" in problems(run, "pipe.log")[0]
    assert "not opened" in problems(run, "s.log")[0]
    assert "not followed" in problems(run, "out.log")[0]
    assert "not followed" in problems(run, "loop.log")[0]


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret.log").write_text(GOOD)
    opened = Path.open

    def refuse(self: Path, *arguments: object, **named: object) -> object:
        if self.name == "secret.log":
            raise PermissionError(13, "Permission denied")
        return opened(self, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "open", refuse)
    found = problems(with_neighbour(tmp_path), "secret.log")
    assert found == ["cannot be read: Permission denied"]


@pytest.mark.parametrize(
    "name", ["a\nb.log", "tab\t.log", "\x1b[31mred.log", "x" * 251 + ".log", "\udcff.log"],
    ids=["newline", "tab", "colour", "long", "not-utf-8"],
)  # fmt: skip
def test_odd_names(tmp_path: Path, name: str) -> None:
    try:
        (tmp_path / name).write_text(GOOD.replace("loss=2", "loss=1"))
    except (OSError, UnicodeEncodeError):
        pytest.skip("this file system takes no such name")
    for run in la.ingest.load_all(tmp_path):
        assert json.dumps(la.diagnose(run).to_dict(), default=str)


def test_more_files_than_any_run_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discover, "MAX_FILES", 50)
    for index in range(80):
        (tmp_path / f"z{index:03}.bin").write_bytes(b"\0")
    run = with_neighbour(tmp_path)
    assert any("not looked at" in p.text for item in run.sources for p in item.problems)


def valid_files(folder: Path) -> list[Path]:
    """Write a small file of each format."""
    from tensorboardX import SummaryWriter

    state = {"log_history": [{"loss": 1 / n, "step": n} for n in range(1, 30)], "global_step": 29}
    (folder / "trainer_state.json").write_text(json.dumps(state, indent=2))
    (folder / "dump.jsonl").write_text(
        "".join(f'{{"step": {n}, "loss": {1 / n}}}\n' for n in range(1, 30))
    )
    (folder / "metrics.csv").write_text(
        "step,loss\n" + "".join(f"{n},{1 / n}\n" for n in range(1, 30))
    )
    (folder / "other.log").write_text(
        "".join(f"{{'loss': {1 / n}, 'epoch': {n}}}\n" for n in range(1, 30))
    )
    with SummaryWriter(str(folder)) as writer:
        for n in range(1, 30):
            writer.add_scalar("train/loss", 1 / n, n)
    return sorted(path for path in folder.iterdir() if path.is_file())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_damage_to_any_file_costs_no_other(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("run")
    path = data.draw(st.sampled_from(valid_files(folder)), label="file")
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 5), label="flips")):
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    cut = data.draw(st.integers(0, len(content)), label="cut")
    path.write_bytes(content[:cut] if data.draw(st.booleans()) else content)
    with_neighbour(folder)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=3000), st.sampled_from([
    "x.log", "trainer_state.json", "events.out.tfevents.1", "metrics.csv", "metrics.json", "config.yaml", "x.db",
    "training_args.bin", "nb.ipynb", "x.toml", "history.json",
]))  # fmt: skip
def test_any_bytes_under_any_name_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    folder = tmp_path_factory.mktemp("run")
    (folder / name).write_bytes(content)
    try:
        la.load(folder)
    except NothingReadable as refusal:
        if "\n" in str(refusal):
            raise
