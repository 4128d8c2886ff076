import json
from pathlib import Path

from loganalyze.diagnosis import diagnose
from loganalyze.ingest import load
from loganalyze.ingest.monitor_files import claims, read
from loganalyze.run import EventKind, Status

HEAD = {"loganalyze": "journal", "version": 1}


def written(path: Path, *records: object) -> Path:
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return path


def test_it_is_known_by_its_first_record(tmp_path: Path):
    path = tmp_path / "x.jsonl"
    assert claims(path, b'{"loganalyze":"journal","version":1}\n')
    assert claims(path, b'{"loganalyze": "numbers"}\n{"step":1')
    assert not claims(path, b'{"step":1,"loss":2}\n')
    assert not claims(path, b'{"loganalyze":"report"}\n')
    assert not claims(path, b"")


def test_numbers_count_the_head_as_a_line(tmp_path: Path):
    path = written(
        tmp_path / "metrics.jsonl",
        {"loganalyze": "numbers"},
        {"step": 5, "reward": 1.5},
        {"step": 6, "reward": "NaN"},
    )
    metrics = read(path, tmp_path)[0].frame
    assert list(metrics["row"]) == [2, 3]
    assert list(metrics["metric"]) == ["reward", "reward"]


def test_a_journal_tells_settings_and_ends(tmp_path: Path):
    path = written(
        tmp_path / "journal.jsonl",
        HEAD,
        {
            "event": "start",
            "time": 1e9,
            "planned_steps": 50,
            "framework": "lightning",
            "config": {"lr": 0.1, "deep": {"a": 1}},
        },
        {"event": "finding", "id": "loss-spike"},
        {"event": "start", "time": 1.1e9, "planned_steps": 80},
        {"event": "end", "time": 1.2e9, "step": 80, "status": "completed"},
    )
    table = read(path, tmp_path)[0]
    assert {key: value.value for key, value in table.config.items()} == {"lr": 0.1, "deep.a": 1}
    assert table.facts.planned_steps == 80
    assert table.facts.started == 1e9
    assert table.facts.framework == "lightning"
    assert table.facts.status is Status.COMPLETED
    assert [event.kind for event in table.events] == [EventKind.RESUME, EventKind.TRAIN_END]


def test_a_new_start_forgets_the_end_before_it(tmp_path: Path):
    path = written(
        tmp_path / "j.jsonl",
        HEAD,
        {"event": "start"},
        {"event": "end", "status": "crashed"},
        {"event": "start"},
    )
    assert read(path, tmp_path)[0].facts.status is None


def test_an_exception_is_a_crash(tmp_path: Path):
    written(
        tmp_path / "metrics.jsonl",
        {"loganalyze": "numbers"},
        *({"step": s, "loss": 1.0 / s} for s in range(1, 30)),
    )
    written(
        tmp_path / "journal.jsonl",
        HEAD,
        {"event": "start"},
        {
            "event": "exception",
            "step": 29,
            "exception": "KeyError",
            "message": "'x'",
            "frame": "train.py:7",
            "traceback": "Traceback ...",
        },
        {"event": "end", "status": "crashed"},
    )
    run = load(tmp_path)
    assert run.status is Status.CRASHED
    crash = next(finding for finding in diagnose(run).findings if finding.id == "crash")
    assert crash.evidence["frame"] == "train.py:7"
    assert str(crash.where[0]) == "journal.jsonl:3"


def test_rubbish_costs_itself_only(tmp_path: Path):
    path = tmp_path / "journal.jsonl"
    path.write_bytes(
        json.dumps(HEAD).encode()
        + b'\n[1]\nnonsense\n{"event":"start","planned_steps":"many","time":true,"config":7}\n'
        + b'{"event":"exception","step":1e300,"exception":{"a":1}}\n{"event":"end","status":["x"]}\n{"event":"sta'
    )
    table = read(path, tmp_path)[0]
    assert [(problem.row, problem.lossy) for problem in table.problems] == [(3, True), (7, False)]
    assert table.facts.planned_steps is None
    assert table.events[0].step is None


def test_layers_are_metrics_of_their_own(tmp_path: Path):
    path = written(
        tmp_path / "layers.jsonl",
        {"loganalyze": "layers"},
        {"step": 100, "time": 1e9, "layer_grad/L0.attn.q": 0.5},
    )
    table = read(path, tmp_path)[0]
    assert table.frame[["metric", "step", "value", "row"]].to_numpy().tolist() == [
        ["layer_grad/L0.attn.q", 100, 0.5, 2]
    ]
