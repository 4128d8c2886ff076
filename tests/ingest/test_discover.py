import json
import os
from pathlib import Path

import pytest

import loganalyze as la

LOG = "".join(f"step {s} loss={3 - s / 100}\n" for s in range(1, 21))


def problems(run) -> dict[str, str]:
    return {source.path: source.problems[0].text for source in run.sources if source.problems}


def test_empty_files_and_lfs_pointers_are_told_and_hide_nothing(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text(LOG)
    (tmp_path / "eval.log").write_bytes(b"")
    (tmp_path / "events.out.tfevents.1.host").write_text(
        "version https://git-lfs.github.com/spec/v1\n"
    )
    (tmp_path / "trainer_state.json").write_text("{ this is no JSON")
    run = la.load(tmp_path)
    assert len(run.series("train/loss")) == 20
    told = problems(run)
    assert told["eval.log"] == "empty file"
    assert "git-lfs" in told["events.out.tfevents.1.host"]
    assert "no JSON" in told["trainer_state.json"]


def test_links_do_not_lead_out_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "secret.log").write_text(LOG)
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    (run_dir / "train.log").write_text(LOG)
    (run_dir / "stolen.log").symlink_to(tmp_path / "secret.log")
    (run_dir / "up").symlink_to(tmp_path)
    run = la.load(run_dir)
    assert {source.path for source in run.sources if source.rows} == {"train.log"}
    assert "leads out" in problems(run)["stolen.log"]


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text(LOG)
    os.mkfifo(tmp_path / "pipe.log")
    assert "not opened" in problems(la.load(tmp_path))["pipe.log"]


def test_a_directory_without_a_log_says_what_was_seen(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 64)
    with pytest.raises(la.NothingReadable, match=r"model\.safetensors"):
        la.load(tmp_path)
    with pytest.raises(la.NothingReadable, match="does not exist"):
        la.load(tmp_path / "nowhere")


def test_nothing_is_unpickled_or_changed(tmp_path: Path) -> None:
    import pickle

    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "exploded"),))

    (tmp_path / "training_args.bin").write_bytes(pickle.dumps(Bomb()))
    (tmp_path / "train.log").write_text(LOG)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    la.load(tmp_path)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before


def test_what_this_tool_wrote_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text(LOG)
    before = la.diagnose(la.load(tmp_path))
    before.to_html(tmp_path / "postmortem.html")
    (tmp_path / "diagnosis.json").write_text(before.to_json())
    (tmp_path / "compact.json").write_text(json.dumps(before.to_dict(), separators=(",", ":")))
    run = la.load(tmp_path)
    assert dict(run.config) == dict(before.run.config)
    assert set(problems(run)) == {"postmortem.html", "diagnosis.json", "compact.json"}
    assert la.diagnose(run).findings == before.findings
    with pytest.raises(la.NothingReadable, match="`loganalyze inspect` reads a report back"):
        la.load(tmp_path / "postmortem.html")
