"""Files that a command writes: whole or not at all, and never over somebody else's."""

from __future__ import annotations

import os
import webbrowser
from pathlib import Path

import pytest

from loganalyze.cli.output import Output, write
from loganalyze.errors import UsageError

SICK = "report-280-classes"


def mine(name: str, content: bytes = b"mine: new") -> Output:
    return Output(name, content, lambda head: head.startswith(b"mine"))


@pytest.fixture
def run(tmp_path: Path, samples: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "train.log").write_bytes((samples / SICK / "train.log").read_bytes())
    return folder


def test_a_file_of_ours_is_replaced_and_another_is_not(call, samples, tmp_path) -> None:
    arguments = ("report", samples / SICK, "-o", "a.html", "--json", "a.json")
    assert call(*arguments)[0] == 0
    assert call(*arguments)[0] == 0
    (tmp_path / "a.json").write_text('{"my": "own"}')
    before = (tmp_path / "a.html").stat().st_mtime_ns
    code, _, err = call(*arguments)
    assert code == 2
    assert "a.json exists and was not written by loganalyze" in err
    assert (tmp_path / "a.json").read_text() == '{"my": "own"}'
    assert (tmp_path / "a.html").stat().st_mtime_ns == before  # none is written if one must not be
    assert call(*arguments, "--force")[0] == 0
    assert "schema_version" in (tmp_path / "a.json").read_text()


def test_an_empty_file_may_be_filled(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").touch()
    write([mine("out")], force=False, runs=("-",))
    assert (tmp_path / "out").read_bytes() == b"mine: new"


def test_nothing_is_written_into_the_run_unless_it_is_forced(call, run) -> None:
    code, _, err = call("report", run, "-o", run / "out.html")
    assert code == 2
    assert "never written to" in err
    assert [path.name for path in run.iterdir()] == ["train.log"]
    assert call("report", run, "-o", run / "out.html", "--force")[0] == 0


@pytest.mark.parametrize("forced", [(), ("--force",)])
@pytest.mark.parametrize("named", ["folder", "file"])
def test_what_is_read_is_never_overwritten(call, run, forced, named) -> None:
    log = run / "train.log"
    before = log.read_bytes()
    code, _, err = call("report", run if named == "folder" else log, "-o", log, *forced)
    assert code == 2
    assert "part of the run, which is never changed" in err
    assert log.read_bytes() == before


def test_a_store_named_by_its_address_is_as_safe(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlruns").mkdir()
    with pytest.raises(UsageError, match="never written to"):
        write([mine("mlruns/out")], force=False, runs=(f"mlflow:file://{tmp_path}/mlruns#abc",))


def test_a_link_is_not_followed_out_of_here(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "out").symlink_to("theirs")
    with pytest.raises(UsageError, match="was not written by loganalyze"):
        write([mine("out")], force=False, runs=("-",))
    write([mine("out")], force=True, runs=("-",))
    assert (tmp_path / "theirs").read_text() == "theirs"


def test_folders_and_pipes_are_refused_even_with_force(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    for name, told in ((".", "is a directory"), ("pipe", "no ordinary file")):
        with pytest.raises(UsageError, match=told):
            write([mine(name)], force=True, runs=("-",))
    with pytest.raises(UsageError, match="cannot write no/such/folder"):
        write([mine("no/such/folder")], force=False, runs=("-",))


def test_a_file_appears_whole_or_not_at_all(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").write_bytes(b"mine: old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(UsageError, match="No space left"):
        write([mine("out")], force=False, runs=("-",))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"out": b"mine: old"}


def test_a_new_file_has_the_rights_of_any_other(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").touch()
    write([mine("out")], force=False, runs=("-",))
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("works", [True, False])
def test_a_browser_is_opened_only_when_asked(call, samples, tmp_path, monkeypatch, works) -> None:
    opened: list[str] = []

    def browser(address: str) -> bool:
        opened.append(address)
        return works

    monkeypatch.setattr(webbrowser, "open", browser)
    call("report", samples / SICK, "-o", "a b.html")
    assert opened == []
    _, _, err = call("report", samples / SICK, "-o", "a b.html", "--open")
    assert opened == [(tmp_path / "a b.html").as_uri()]
    assert ("No browser was found" in err) is not works
