from pathlib import Path

from loganalyze.finding import Finding, Severity
from loganalyze.run import Where
from loganalyze.watch.hook import Hook, variables

NASTY = "$(touch pwned) `touch pwned`; touch pwned\n\x00 && touch pwned"


def finding(severity: Severity = Severity.CRITICAL, identifier: str = "loss-spike") -> Finding:
    return Finding(
        identifier, severity, 0.9, NASTY, NASTY, steps=(3, 9), where=(Where("train.log", 7),)
    )


def call(hook: Hook, found: Finding, name: str = "run") -> bool:
    began = hook.call(found, name, "runs/x")
    hook.wait(20)
    return began


def test_the_command_runs_once_per_finding(tmp_path: Path):
    out = tmp_path / "out"
    hook = Hook(
        Severity.CRITICAL,
        f'echo "$LOGANALYZE_ID $LOGANALYZE_FIRST_STEP $LOGANALYZE_WHERE" >> {out}',
    )
    assert call(hook, finding())
    assert not call(hook, finding())
    assert call(hook, finding(identifier="loss-zero"))
    assert out.read_text().splitlines() == ["loss-spike 3 train.log:7", "loss-zero 3 train.log:7"]


def test_lesser_findings_run_nothing(tmp_path: Path):
    assert not call(Hook(Severity.CRITICAL, f"touch {tmp_path}/out"), finding(Severity.WARNING))
    assert not (tmp_path / "out").exists()


def test_text_from_a_log_never_becomes_a_command(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    hook = Hook(
        Severity.INFO, 'printf %s "$LOGANALYZE_TITLE$LOGANALYZE_SUMMARY$LOGANALYZE_RUN" > out'
    )
    assert call(hook, finding(), name=NASTY)
    assert "$(touch pwned)" in (tmp_path / "out").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_command_that_fails_is_no_trouble():
    assert call(Hook(Severity.INFO, "exit 3"), finding())
    assert call(Hook(Severity.INFO, "/nonexistent/command 2>/dev/null"), finding())


def test_secrets_of_the_log_stay_masked():
    told = variables(Finding("x", Severity.INFO, 1, "t", "token=abcdef123456"), "r", "p")
    assert "abcdef123456" not in told["LOGANALYZE_SUMMARY"]
