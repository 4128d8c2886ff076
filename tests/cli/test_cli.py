"""The command line from the outside: streams, exit status, files."""

from __future__ import annotations

import json
import sys

import pandas as pd
import pytest

from loganalyze.frame import METRIC_COLUMNS

SICK = "report-280-classes"


def test_report_writes_the_page_here_and_prints_the_verdict(call, samples, tmp_path) -> None:
    code, out, err = call("report", samples / SICK)
    assert code == 0
    assert "CRITICAL" in out
    assert "loss-not-normalized" in out
    page = tmp_path / f"{SICK}-postmortem.html"
    assert page.is_file()
    assert f"Wrote {page.name} (" in err
    assert err.endswith("Next: loganalyze explain loss-not-normalized\n")
    assert "Wrote" not in out


def test_json_goes_to_stdout_alone(call, samples) -> None:
    code, out, err = call("diagnose", samples / SICK, "--format", "json")
    assert code == 0
    assert err == ""
    assert json.loads(out)["schema_version"] == 1


def test_fail_on_sets_the_exit_status(call, samples) -> None:
    assert call("diagnose", samples / SICK, "--fail-on", "critical")[0] == 1
    assert call("diagnose", samples / "healthy-hf", "--fail-on", "warning")[0] == 0


def test_classes_and_given_are_facts_about_the_run(call, tmp_path) -> None:
    lines = [f"step {n} loss={69.5 - n / 10:.2f} lr={n * 1.4e-8:.3g}" for n in range(1, 30)]
    (tmp_path / "train.log").write_text("\n".join(lines))
    _, out, _ = call("diagnose", "train.log", "--format", "json")
    assert "initial-loss-high" not in {f["id"] for f in json.loads(out)["findings"]}
    _, out, _ = call(
        "diagnose", "train.log", "--format", "json", "--classes", 280,
        "--given", "learning_rate=1e-5",
    )  # fmt: skip
    document = json.loads(out)
    found = {f["id"]: f for f in document["findings"]}
    assert found["initial-loss-high"]["evidence"]["ratio_to_log_c"] == pytest.approx(12.3, abs=0.1)
    assert document["run"]["config"]["num_classes"]["value"] == 280
    assert "warmup-too-long" in found


def test_a_setting_can_be_changed_and_is_checked(call, samples) -> None:
    arguments = ("diagnose", samples / SICK, "--format", "json", "--set")
    _, out, _ = call(*arguments, "initial.ratio_many=100", "--set", "initial.ratio_critical=200")
    assert "initial-loss-high" not in {f["id"] for f in json.loads(out)["findings"]}
    code, _, err = call(*arguments, "initial.ratio_warnin=3")
    assert code == 2
    assert "did you mean initial.ratio_warning" in err
    code, _, err = call(*arguments, "initial.ratio_warning=many")
    assert code == 2
    assert "is not a number" in err


def test_settings_come_from_a_file_unless_isolated(call, samples, tmp_path) -> None:
    (tmp_path / "loganalyze.toml").write_text('ignore = ["initial-loss-high"]\n')
    _, out, _ = call("diagnose", samples / SICK, "--format", "json")
    checks = {c["id"]: c for c in json.loads(out)["checks"]}
    assert checks["initial-loss-high"]["outcome"] == "not-applicable"
    _, out, _ = call("diagnose", samples / SICK, "--format", "json", "--isolated")
    checks = {c["id"]: c for c in json.loads(out)["checks"]}
    assert checks["initial-loss-high"]["outcome"] == "found"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('slect = ["loss-spike"]', "did you mean select?"),
        ('select = ["loss-spik"]', "did you mean loss-spike?"),
        ("[spike]\nzed = 3", "did you mean spike.z?"),
        ("[spike\n", "cannot read settings from loganalyze.toml"),
    ],
)
def test_a_mistake_in_a_settings_file_is_one_line_with_the_nearest_name(
    call, samples, tmp_path, text, says
) -> None:
    (tmp_path / "loganalyze.toml").write_text(text)
    code, out, err = call("diagnose", samples / SICK)
    assert (code, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("diagnose", "no/such/run"), "no/such/run"),
        (("diagnoze", "x"), "did you mean 'diagnose'"),
        (("diagnose",), "RUN"),
        (("explain", "loss-spyke"), "did you mean loss-spike"),
        (("export", ".", "-o", "x.xlsx"), ".parquet"),
        (("diagnose", ".", "--select", "loss-spik"), "did you mean loss-spike"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(call, arguments, says) -> None:
    code, out, err = call(*arguments)
    assert code == 2
    assert out == ""
    assert says in err
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_an_empty_directory_says_what_was_looked_for(call, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "model.safetensors").write_bytes(b"\x00" * 32)
    code, _, err = call("diagnose", "empty")
    assert code == 2
    assert "nothing readable" in err


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_export_holds_every_row(call, samples, tmp_path, ending) -> None:
    import loganalyze as la

    run = la.load(samples / "healthy-hf")
    assert call("export", samples / "healthy-hf", "-o", f"m.{ending}")[0] == 0
    assert call("export", samples / "healthy-hf", "-o", f"m.{ending}")[0] == 0
    path = tmp_path / f"m.{ending}"
    if ending == "jsonl":
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        frame = pd.DataFrame(rows)
    else:
        frame = pd.read_parquet(path) if ending == "parquet" else pd.read_csv(path)
    assert list(frame.columns) == list(METRIC_COLUMNS)
    assert len(frame) == len(run.metrics)
    assert frame["value"].astype(float).sum() == pytest.approx(run.metrics["value"].sum())


def test_inspect_lists_sources_metrics_and_config(call, samples) -> None:
    code, out, _ = call("inspect", samples / SICK)
    assert code == 0
    assert "train.log" in out
    assert "train/loss" in out
    assert "learning_rate" in out
    _, out, _ = call("inspect", samples / SICK, "--format", "json")
    assert {m["metric"] for m in json.loads(out)["metrics"]} >= {"train/loss", "train/grad_norm"}


def test_inspect_shows_restarts_ranks_and_where_each_metric_comes_from(call, tmp_path) -> None:
    def lines(steps, factor: int = 1) -> str:
        return "".join(
            f"2024-01-01 10:{s // 60:02d}:{s % 60:02d} step {s} loss={factor * s}.5\n"
            for s in steps
        )

    restarted = lines(range(1, 61)) + lines(range(41, 101))
    (tmp_path / "rank_0.log").write_text(restarted)
    (tmp_path / "rank_1.log").write_text(lines(range(1, 61), 2))
    code, out, _ = call("inspect", tmp_path)
    assert code == 0
    assert "rank_0.log  [text]  120 rows, 1 metric, steps 1 to 100, rank 0" in out
    assert "! rank 1 of the same run: its 60 points were left out" in out
    assert "segment 1 from step 41  rank_0.log:61" in out
    assert "perf/step_seconds      from times" in out
    assert "1.5 -> 100.5  (rank_0.log)" in out
    document = json.loads(call("inspect", tmp_path, "--format", "json")[1])
    assert document["restarts"] == [{"segment": 1, "step": 41, "where": "rank_0.log:61"}]
    assert [source["rank"] for source in document["sources"]] == [0, 1]
    derived = {item["metric"]: item["derived"] for item in document["metrics"]}
    assert derived == {"perf/step_seconds": True, "train/loss": False}


def test_explain_lists_everything_and_tells_one(call) -> None:
    _, out, _ = call("explain")
    assert "loss-spike" in out
    assert "lr-too-high" in out
    _, out, _ = call("explain", "loss-spike")
    assert "Not to be confused with" in out
    assert "spike." in out
    _, out, _ = call("explain", "lr-too-high")
    assert "How to confirm" in out


def test_standard_input_is_read(call, samples, monkeypatch) -> None:
    import io

    data = (samples / SICK / "train.log").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    _, out, _ = call("diagnose", "-", "--format", "json", "--classes", 280)
    document = json.loads(out)
    assert document["findings"][0]["id"] == "initial-loss-high"


def test_an_internal_error_is_a_sentence(call, samples, monkeypatch) -> None:
    import loganalyze.ingest

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(loganalyze.ingest, "load", broken)
    code, _, err = call("diagnose", samples / SICK)
    assert code == 2
    assert "internal error, ZeroDivisionError: oops" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("style", "start"), [("markdown", "**▲"), ("github", "::error "), ("junit", "<?xml")]
)
def test_diagnose_prints_each_format(call, samples, style, start, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    code, out, _ = call("diagnose", samples / SICK, "--format", style)
    assert code == 0
    assert out.startswith(start)
    assert (tmp_path / "summary.md").exists() == (style == "github")


def test_a_summary_that_cannot_be_written_is_one_line(call, samples, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "no" / "summary.md"))
    code, _, err = call("diagnose", samples / SICK, "--format", "github")
    assert code == 2
    assert "cannot write the summary" in err


def test_secrets_are_masked_unless_asked_for(call, tmp_path) -> None:
    secret = "hf_" + "a1B2" * 6
    log = tmp_path / "train.log"
    log.write_text(
        "".join(f"step {step} loss {2 - step / 50:.3f}\n" for step in range(1, 40))
        + f'Traceback (most recent call last):\n  File "a.py", line 1, in f\nValueError: bad {secret}\n'
    )
    for arguments in (("diagnose", log), ("diagnose", log, "--format", "json")):
        assert secret not in call(*arguments)[1]
        assert secret in call(*arguments, "--no-redact")[1]
        assert secret not in call(*arguments)[1]  # asked for once, shown once
    call("report", log, "-o", "shown.html", "--no-redact")
    assert secret in (tmp_path / "shown.html").read_text()
