import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from rich.console import Console
from rich.live import Live

from loganalyze.cli.watch_view import Picture
from loganalyze.settings import Settings
from loganalyze.watch.watch import Watch

ROOT = Path(__file__).parents[2]
# A shell's background job passes on to its children that SIGINT is ignored.
INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from loganalyze.cli import main
main()
"""


def lines(first: int, last: int, nan_from: int = 10**9) -> str:
    return "".join(
        f"step {s}/200 loss {'nan' if s >= nan_from else f'{2 / s + 1 + s % 7 / 500:.4f}'}\n"
        for s in range(first, last + 1)
    )


def verdicts(text: str) -> str:
    return text[text.index("CRITICAL") :]


def test_a_run_that_is_over_is_diagnosed(call, tmp_path: Path):
    log = tmp_path / "train.log"
    log.write_text(lines(1, 200, nan_from=150))
    code, out, err = call(
        "watch", log, "--until-done", "--every", "0.05", "--idle", "0.2", "--fail-on", "critical"
    )
    assert code == 1
    assert "found" in out.splitlines()[0]
    assert "loss-nonfinite" in out.splitlines()[0]
    assert verdicts(out) == verdicts(call("diagnose", log)[1])
    assert err == ""


def test_the_exit_status_is_that_of_diagnose(call, tmp_path: Path):
    (tmp_path / "train.log").write_text(lines(1, 200))
    assert (
        call(
            "watch",
            "train.log",
            "--until-done",
            "--every",
            "0.05",
            "--idle",
            "0.2",
            "--fail-on",
            "warning",
        )[0]
        == 0
    )


def test_a_log_that_another_process_writes(call, tmp_path: Path):
    log, whole = tmp_path / "train.log", lines(1, 200, nan_from=120)

    def write() -> None:
        time.sleep(0.2)
        half = whole.index("step 90/")
        for start in range(0, half, 173):  # bursts, and lines in parts
            with log.open("a") as file:
                file.write(whole[start : min(start + 173, half)])
            time.sleep(0.01)
        log.rename(tmp_path / "train.log.1")
        log.write_text(whole[half:])

    writer = threading.Thread(target=write)
    writer.start()
    code, out, _ = call("watch", tmp_path, "--until-done", "--every", "0.05", "--idle", "6")
    writer.join()
    assert code == 0
    assert verdicts(out) == verdicts(call("diagnose", tmp_path)[1])


def test_commands_are_run_once_for_a_finding(call, tmp_path: Path):
    (tmp_path / "train.log").write_text(lines(1, 200, nan_from=150))
    hook = f'echo "$LOGANALYZE_ID $LOGANALYZE_RUN" >> {tmp_path}/told'
    for level, count in (("critical", 1), ("warning", 1), ("info", 1)):
        (tmp_path / "told").unlink(missing_ok=True)
        call(
            "watch",
            "train.log",
            "--until-done",
            "--every",
            "0.05",
            "--idle",
            "0.2",
            "--on",
            level,
            hook,
        )
        assert (tmp_path / "told").read_text().splitlines().count(
            "loss-nonfinite train.log"
        ) == count


def test_an_alert_address_that_is_wrong_is_told_at_once(call, tmp_path: Path):
    (tmp_path / "train.log").write_text(lines(1, 200))
    code, _, err = call("watch", "train.log", "--alert", "nonsense://SECRET123")
    assert code == 2
    assert "an alert address" in err
    assert "SECRET123" not in err


def test_what_never_comes(call, tmp_path: Path):
    code, _, err = call(
        "watch", tmp_path / "later", "--until-done", "--every", "0.05", "--idle", "0.2"
    )
    assert code == 2
    assert "does not exist" in err


def test_standard_input(call):
    code, _, err = call("watch", "-")
    assert code == 2
    assert "cannot be watched" in err


def test_quiet_says_the_verdict_only(call, tmp_path: Path):
    (tmp_path / "train.log").write_text(lines(1, 200, nan_from=150))
    out = call("watch", "train.log", "--until-done", "--every", "0.05", "--idle", "0.2", "-q")[1]
    assert out.startswith("▲ CRITICAL")
    assert "causes" not in out


def test_in_korean(call, tmp_path: Path):
    (tmp_path / "train.log").write_text(lines(1, 200, nan_from=150))
    out = call(
        "watch", "train.log", "--until-done", "--every", "0.05", "--idle", "0.2", "--lang", "ko"
    )[1]
    assert "발견" in out.splitlines()[0]


def test_the_picture_shows_verdict_curves_and_changes(tmp_path: Path):
    log, screen = tmp_path / "train.log", io.StringIO()
    console = Console(file=screen, force_terminal=True, width=300, height=50, no_color=True)
    shown = {"width": 100, "color": False, "unicode": True, "lang": "en"}
    clock = [0.0]
    watch = Watch(str(log), Settings(), clock=lambda: clock[0])
    with Live(console=console, auto_refresh=False) as live:
        picture = Picture(live, shown, str(log))
        picture.tick(0.0, waiting=True)
        assert "waiting for it to begin" in screen.getvalue()
        for first in (1, 101, 151):
            with log.open("a") as file:
                file.write(lines(first, first + 49, nan_from=120))
            clock[0] += 10
            picture.show(watch.refresh())
            picture.tick(3.0, waiting=False)
    text = screen.getvalue()
    for part in (
        "nothing new for 3 s",
        "CRITICAL",
        "train/loss",
        "Most likely causes",
        "found  ▲ loss-nonfinite",
    ):
        assert part in text


def test_it_is_left_with_control_c(tmp_path: Path):
    (tmp_path / "train.log").write_text(lines(1, 60, nan_from=50))
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, "watch", str(tmp_path), "--every", "0.05"],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.append(process.stdout.readline()))
    reader.start()
    for step in range(61, 200):  # until it has found something
        with (tmp_path / "train.log").open("a") as file:
            file.write(lines(step, step, nan_from=50))
        reader.join(1)
        if said:
            break
    assert "loss-nonfinite" in said[0]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_what_a_monitor_keeps_is_watched_and_not_touched(call, tmp_path: Path):
    from loganalyze.monitor import Monitor

    monitor = Monitor(tmp_path / "run", planned_steps=100)
    for step in range(1, 101):
        monitor.log(step, loss=1.0 + 1 / step + step % 5 / 100)
    monitor.finish()
    before = {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()}
    assert (
        call("watch", tmp_path / "run", "--until-done", "--every", "0.05", "--idle", "0.2")[0] == 0
    )
    assert {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()} == before
    assert json.loads(before["diagnosis.json"])["run"]["status"] == "completed"
