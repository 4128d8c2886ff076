"""``loganalyze diff`` from the outside: addresses of runs, formats, exit status, what it refuses."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.compare.conftest import loss

Call = Callable[..., tuple[int, str, str]]


def write_log(path: Path, values: np.ndarray, *, lr: str = "1e-3", first: int = 1) -> Path:
    lines = [f"Namespace(lr={lr}, batch_size=8, num_classes=10, model='mlp')"]
    lines += [f"step={first + n} loss={value:.5f}" for n, value in enumerate(values)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def logs(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A run, the same with another seed, and a worse one at ten times the rate."""
    worse = loss(2)
    worse[200:] *= 1.8
    return (
        write_log(tmp_path / "a.log", loss(0)),
        write_log(tmp_path / "b.log", loss(1)),
        write_log(tmp_path / "c.log", worse, lr="1e-2"),
    )


def test_two_seeds_are_told_in_text(call: Call, logs: tuple[Path, ...]) -> None:
    code, out, err = call("diff", logs[0], logs[1])
    assert code == 0
    assert err == ""
    assert out.startswith("● No difference beyond noise: train/loss ends ")
    assert "parts:" not in out


def test_a_worse_run_is_told_with_step_and_setting(call: Call, logs: tuple[Path, ...]) -> None:
    _, out, _ = call("diff", logs[0], logs[2])
    assert out.startswith("▲ B is worse: train/loss ends ")
    assert "train/loss parts at step 201" in out
    assert "~ learning_rate  0.001 -> 0.01  could explain train/loss" in out
    assert "One pair of runs proves no cause" in out


def test_json_is_all_that_stands_on_stdout(call: Call, logs: tuple[Path, ...]) -> None:
    code, out, err = call("diff", logs[0], logs[2], "--format", "json")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert document["verdict"]["outcome"] == "worse"
    assert document["parting"]["at"] == pytest.approx(201, abs=10)


def test_markdown_has_tables(call: Call, logs: tuple[Path, ...]) -> None:
    _, out, _ = call("diff", logs[0], logs[2], "--format", "markdown")
    assert "| learning\\_rate | 0.001 | 0.01 | train/loss, loss-divergence |" in out


def test_quiet_says_the_verdict_only(call: Call, logs: tuple[Path, ...]) -> None:
    _, out, _ = call("diff", logs[0], logs[1], logs[2], "-q")
    assert "B: No difference beyond noise" in out
    assert "C: C is worse" in out
    assert "Settings" not in out


def test_the_page_is_written_and_never_over_a_log(call: Call, logs: tuple[Path, ...]) -> None:
    code, _, err = call("diff", logs[0], logs[2], "-o", "diff.html")
    assert code == 0
    assert err.startswith("Wrote diff.html (")
    assert call("diff", logs[0], logs[2], "-o", "diff.html")[0] == 0  # ours may be written anew
    for log in logs[:2]:
        code, _, err = call("diff", logs[0], logs[1], "-o", log, "--force")
        assert code == 2
        assert "is part of the run" in err


@pytest.mark.parametrize(("which", "status"), [(1, 0), (2, 1)])
def test_a_regression_sets_the_exit_status(
    call: Call, logs: tuple[Path, ...], which: int, status: int
) -> None:
    assert call("diff", logs[0], logs[which], "--fail-on", "regression")[0] == status


def test_a_new_critical_finding_is_a_regression(call: Call, logs: tuple[Path, ...]) -> None:
    text = logs[1].read_text().splitlines()[:300]
    trace = 'Traceback (most recent call last):\n  File "t.py", line 3, in <module>\n    f()\nValueError: no'
    logs[1].write_text("\n".join([*text, trace]) + "\n")
    assert call("diff", logs[0], logs[1], "--fail-on", "regression")[0] == 1


def test_one_of_several_runs_and_one_of_several_starts(call: Call, tmp_path: Path) -> None:
    store = tmp_path / "store"
    for name, seed in (("one", 0), ("two", 1)):
        (store / name).mkdir(parents=True)
        write_log(store / name / "train.log", loss(seed))
    code, out, _ = call("diff", f"{store}#one", f"{store}#two")
    assert code == 0
    assert "No difference beyond noise" in out
    again = loss(0)
    lines = [f"step={n + 1} loss={value:.5f}" for n, value in enumerate(again[:300])]
    lines += ["Resuming from checkpoint step_200.pt (step 200)"]
    lines += [f"step={n + 201} loss={value:.5f}" for n, value in enumerate(1.5 * again[200:])]
    log = tmp_path / "restarted.log"
    log.write_text("\n".join(lines) + "\n")
    code, out, err = call("diff", f"{log}@0", f"{log}@1", "--format", "json")
    assert code == 0, err
    document = json.loads(out)
    assert (document["a"]["last_step"], document["b"]["first_step"]) == (300, 201)
    code, _, err = call("diff", f"{log}@0", f"{log}@7")
    assert code == 2
    assert "has no start @7; there are: @0, @1" in err


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_an_export_of_an_earlier_run_is_a_run(
    call: Call, logs: tuple[Path, ...], ending: str
) -> None:
    assert call("export", logs[0], "-o", f"kept.{ending}")[0] == 0
    code, out, _ = call("diff", f"kept.{ending}", logs[0])
    assert code == 0
    assert out.startswith("● Identical")


def test_a_diagnosis_has_settings_and_no_curves(
    call: Call, logs: tuple[Path, ...], tmp_path: Path
) -> None:
    _, out, _ = call("diagnose", logs[0], "--format", "json")
    (tmp_path / "kept.json").write_text(out)
    code, out, _ = call("diff", "kept.json", logs[2])
    assert code == 0
    assert out.startswith("◆ Too little in common")
    assert "~ learning_rate  0.001 -> 0.01" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere", "a.log"), "nowhere does not exist"),
        (("a.log", "nowhere#x"), "nowhere#x does not exist"),
        (("a.log",), "Missing argument 'RUN_B...'"),
        (("a.log", "b.log", "--align", "days"), "Invalid value for '--align'"),
        (("a.log", "b.log", "--align", "tokens"), "cannot align on tokens: a.log"),
        (("a.log", "b.log", "--metric", "train/loss"), "give both"),
        (("-", "-"), "standard input is one run only"),
        (("a.log", "broken.parquet"), "cannot read the export broken.parquet"),
        (("a.log", "other.csv"), "the export other.csv holds no number"),
        (("a.log", "broken.json"), "cannot read a diagnosis from broken.json"),
        (("a.log", *["b.log"] * 13), "compare at most 12"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    call: Call, logs: tuple[Path, ...], tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "other.csv").write_text("metric,step,epoch,time,value,segment,source,row,name,\n")
    (tmp_path / "broken.json").write_text('{"tool": {')
    code, out, err = call("diff", *arguments)
    assert code == 2
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_what_cannot_tell_a_regression_is_refused(call: Call, logs: tuple[Path, ...]) -> None:
    gate = ("--fail-on", "regression", "--metric", "eval/f1")
    code, out, err = call("diff", logs[0], logs[1], *gate)
    assert code == 2
    assert out.startswith("● No difference")  # what can be told is
    assert "not both runs log eval/f1; losses and scores of both: train/loss" in err


def test_a_run_comes_from_standard_input(
    call: Call, logs: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    with logs[0].open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        code, out, _ = call("diff", "-", logs[0])
    assert code == 0
    assert out.startswith("● Identical")


def test_it_speaks_korean(call: Call, logs: tuple[Path, ...]) -> None:
    _, out, _ = call("diff", logs[0], logs[2], "--lang", "ko")
    assert out.startswith("▲ B가 나쁩니다.")
    _, out, _ = call("diff", logs[0], logs[2], "--lang", "ko", "--format", "json")
    assert json.loads(out)["verdict"]["headline"].startswith("B is worse")
