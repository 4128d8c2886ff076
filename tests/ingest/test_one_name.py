from pathlib import Path

import loganalyze as la


def test_of_two_losses_in_one_line_the_plain_one_is_the_loss(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    path.write_text("".join(f"step {s} | loss {6 - s} | nll_loss {5 - s}\n" for s in range(1, 5)))
    run = la.load(path)
    assert run.series("train/loss").value.tolist() == [5, 4, 3, 2]
    assert run.series("nll_loss").value.tolist() == [4, 3, 2, 1]
    assert len(run.metrics) == 8


def test_two_spellings_in_different_lines_stay_one_metric(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    path.write_text("step 1 loss=3\nstep 2 train_loss=2\nstep 3 loss=1\n")
    assert la.load(path).series("train/loss").value.tolist() == [3, 2, 1]
