import json
from pathlib import Path

import loganalyze as la


def write(folder: Path, accumulation: int, passes: int, logged: int = 1) -> None:
    """Write a log that counts forward passes beside a state that counts updates."""
    history = [{"loss": 3 - n / 50, "step": n} for n in range(1, passes // accumulation + 1)]
    state = {"log_history": history, "global_step": len(history), "max_steps": len(history)}
    (folder / "trainer_state.json").write_text(json.dumps(state, indent=2))
    (folder / "args.json").write_text(
        json.dumps({"gradient_accumulation_steps": accumulation, "learning_rate": 1e-4})
    )
    lines = [
        f"step {n} loss={3 - n / 50 / accumulation}" for n in range(logged, passes + 1, logged)
    ]
    (folder / "train.log").write_text("\n".join(lines))


def test_an_axis_of_forward_passes_is_divided_and_says_so(tmp_path: Path) -> None:
    write(tmp_path, 8, 400)
    run = la.load(tmp_path)
    log = next(source for source in run.sources if source.path == "train.log")
    assert log.last_step == 50
    assert run.last_step == 50
    assert "gradient_accumulation_steps = 8" in log.problems[-1].text
    assert not log.problems[-1].lossy


def test_without_a_known_accumulation_nothing_is_converted(tmp_path: Path) -> None:
    write(tmp_path, 8, 400)
    (tmp_path / "args.json").unlink()
    assert la.load(tmp_path).last_step == 400


def test_axes_that_end_together_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path, 8, 400)
    lines = [f"step {n} loss={3 - n / 50}" for n in range(1, 51)]
    (tmp_path / "train.log").write_text("\n".join(lines))
    run = la.load(tmp_path)
    assert run.last_step == 50
    assert all("forward passes" not in p.text for s in run.sources for p in s.problems)
