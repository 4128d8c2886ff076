from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import loganalyze as la
from loganalyze.ingest.stdout import claims, read
from loganalyze.run import EventKind, Status


def load(tmp_path: Path, text: str | bytes):
    path = tmp_path / "train.log"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return la.load(path)


def points(run, metric="train/loss"):
    series = run.series(metric)
    return list(zip(series.step.tolist(), series.value.tolist(), strict=True))


@pytest.mark.parametrize(
    "line",
    [
        "Step 3:  loss=69.33, grad_norm=207.80, lr=4.14e-08",
        "step 3 | loss: 69.33 | grad_norm: 207.80 | lr: 4.14e-08",
        "iter 3: loss 69.33, grad norm 207.80, lr 4.14e-08",
        "step:3/100 train_loss:69.33 grad_norm:207.80 lr:4.14e-08",
        '{"step": 3, "loss": 69.33, "grad_norm": 207.8, "lr": 4.14e-08}',
        '{"global_step": 3, "train": {"loss": 69.33, "grad_norm": 207.8}, "lr": 4.14e-08}',
        "2026-01-02 03:04:05,678 INFO step=3 loss=69.33 grad_norm=207.80 lr=4.14e-08",
        "[2026-01-02 03:04:05] [rank0]: step 3, loss: 69.33, grad_norm: 207.80, lr: 4.14e-08",
        "\x1b[32mstep 3\x1b[0m loss=\x1b[1m69.33\x1b[0m grad_norm=207.80 lr=4.14e-08",
        "[INFO|trainer.py:12] 2026-01-02 03:04:05,1 >> step 3 loss=69.33 grad_norm=207.8 lr=4.14e-08",
        " 10%|#         | 3/30 [00:01<00:09, 3.0it/s] step=3 loss=69.33 grad_norm=207.8 lr=4.14e-8",
    ],
)
def test_one_line_of_each_kind_is_read(tmp_path: Path, line: str) -> None:
    run = load(tmp_path, line + "\n")
    assert points(run) == [(3, 69.33)]
    assert points(run, "train/grad_norm") == [(3, 207.8)]
    assert points(run, "train/learning_rate") == [(3, pytest.approx(4.14e-08))]


def test_dictionaries_of_the_trainer_take_their_step_from_the_progress_bar(tmp_path: Path) -> None:
    lines = [
        f" {step}%|#   | {step}/100 [00:01<00:09,  5.00it/s]\r"
        f"{{'loss': '{2 - step / 100:.4f}', 'grad_norm': '1.5', 'learning_rate': '5e-05',"
        f" 'epoch': '{step / 10:.1f}'}}\n"
        for step in range(10, 51, 10)
    ]
    run = load(tmp_path, "".join(lines))
    assert points(run) == [(s, pytest.approx(2 - s / 100)) for s in range(10, 51, 10)]
    assert run.planned_steps == 100
    assert run.framework == "hf-trainer"


def test_dictionaries_with_numbers_and_without_a_bar_are_counted(tmp_path: Path) -> None:
    run = load(
        tmp_path,
        "{'loss': 1.5, 'epoch': 0.1}\n{'eval_loss': 1.4, 'epoch': 0.1}\n{'loss': nan, 'epoch': 0.2}\n"
        "{'train_runtime': 12.0, 'train_loss': 9.9, 'epoch': 1.0}\n",
    )
    assert [step for step, _ in points(run)] == [1, 2]
    assert points(run, "eval/loss") == [(1, 1.4)]
    assert run.status is Status.COMPLETED
    assert any("counted" in problem.text for problem in run.sources[0].problems)


def test_the_place_in_the_epoch_makes_the_step(tmp_path: Path) -> None:
    run = load(
        tmp_path,
        "Epoch: [0][100/5005] Time 0.5 (0.6) Loss 6.9 (7.0) Acc@1 0.1 (0.1)\n"
        "Epoch: [3][100/5005] Time 0.5 (0.6) Loss 4.9 (5.0) Acc@1 9.0 (8.0)\n",
    )
    assert points(run) == [(100, 6.9), (3 * 5005 + 100, 4.9)]


def test_validation_is_told_from_training(tmp_path: Path) -> None:
    run = load(tmp_path, "step 100: train loss 2.3, val loss 2.4\nstep 200: validation loss: 2.2\n")
    assert points(run) == [(100, 2.3)]
    assert points(run, "eval/loss") == [(100, 2.4), (200, 2.2)]


def test_an_epoch_on_a_line_of_its_own_counts_for_the_lines_below(tmp_path: Path) -> None:
    run = load(
        tmp_path, "Epoch 1/3\nloss: 0.9 - val_loss: 1.0\nEpoch 2/3\nloss: 0.7 - val_loss: 0.8\n"
    )
    assert points(run) == [(1, 0.9), (2, 0.7)]
    assert points(run, "eval/loss") == [(1, 1.0), (2, 0.8)]
    assert run.planned_epochs == 3


@pytest.mark.parametrize("word", ["nan", "NaN", "NAN", "-nan", "nan(ind)"])
def test_nan_in_every_spelling(tmp_path: Path, word: str) -> None:
    assert np.isnan(load(tmp_path, f"step 1 loss={word}\n").series("train/loss").value[0])


@pytest.mark.parametrize(("word", "value"), [("inf", np.inf), ("Infinity", np.inf), ("-inf", -np.inf), ("+inf", np.inf)])  # fmt: skip
def test_infinity_in_every_spelling(tmp_path: Path, word: str, value: float) -> None:
    assert load(tmp_path, f"step 1 loss={word}\n").series("train/loss").value[0] == value


def test_prose_is_no_metric(tmp_path: Path) -> None:
    prose = (
        "The loss of 3 points.\nbatch size: 32\nversion: 3\nDownloading 12.5 MB\nstep 1 loss=2.0\n"
    )
    assert points(load(tmp_path, prose)) == [(1, 2.0)]


def test_a_step_that_falls_back_is_a_restart(tmp_path: Path) -> None:
    lines = [f"step {s} loss={5 - s / 10}" for s in range(1, 11)]
    lines += ["Resuming from checkpoint-5"] + [f"step {s} loss={4 - s / 10}" for s in range(6, 13)]
    run = load(tmp_path, "\n".join(lines))
    assert run.metrics["segment"].max() == 1
    assert run.series("train/loss").step.tolist() == list(range(1, 13))
    assert run.series("train/loss").value_at(6) == pytest.approx(3.4)
    assert run.events_of(EventKind.RESUME)


def test_printed_settings_are_config_with_their_line(tmp_path: Path) -> None:
    run = load(
        tmp_path,
        "Namespace(lr=0.001, batch_size=32, fp16=True)\n"
        "***** Running training *****\n  Num Epochs = 3\n  Gradient Accumulation steps = 8\n"
        "  Total optimization steps = 7,002\nstep 1 loss=2.0\n",
    )
    assert run.number("learning_rate") == 0.001
    assert run.number("gradient_accumulation_steps") == 8
    assert run.planned_steps == 7002
    assert run.config["lr"].where == "train.log:1"


@pytest.mark.parametrize("codec", ["utf-8", "utf-16", "latin-1"])
def test_encodings(tmp_path: Path, codec: str) -> None:
    text = "Übung\nstep 1 loss=2.0\nstep 2 loss=1.0\n"
    assert points(load(tmp_path, text.encode(codec))) == [(1, 2.0), (2, 1.0)]


def test_every_row_knows_its_line(tmp_path: Path) -> None:
    series = load(tmp_path, "hello\n\nstep 1 loss=2.0\r\nstep 2 loss=1.0\r\n").series("train/loss")
    assert [str(series.where(i)) for i in range(2)] == ["train.log:3", "train.log:4"]


record = st.tuples(
    st.integers(0, 10**9),
    st.floats(-1e9, 1e9, allow_nan=False),
    st.floats(0, 1, allow_nan=False),
)


@settings(max_examples=80, deadline=None)
@given(record, st.sampled_from(["step={} loss={!r} lr={!r}", "Step {}: loss: {!r}, lr: {!r}",
                                '{{"step": {}, "loss": {!r}, "lr": {!r}}}']))  # fmt: skip
def test_rendered_numbers_are_read_back_exactly(tmp_path_factory, record, form: str) -> None:
    path = tmp_path_factory.mktemp("trip") / "train.log"
    path.write_text(form.format(*record) + "\n")
    step, loss, lr = record
    run = la.load(path)
    assert points(run) == [(step, loss)]
    assert points(run, "train/learning_rate") == [(step, lr)]


@settings(max_examples=150, deadline=None)
@given(st.binary(min_size=1, max_size=500))
def test_any_bytes_are_read_without_an_exception(tmp_path_factory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "train.log"
    path.write_bytes(data)
    read(path, path)


def test_a_step_that_starts_over_with_every_epoch_is_no_restart(tmp_path: Path) -> None:
    lines = [
        f"epoch {e} - iter {i}/40 - loss {9 - e - i / 40}" for e in (1, 2, 3) for i in (0, 20, 39)
    ]
    run = load(tmp_path, "\n".join(lines))
    assert run.series("train/loss").step.tolist() == [0, 20, 39, 40, 60, 79, 80, 100, 119]
    assert run.planned_steps is None  # 40 is an epoch's length, not the run's
    assert run.metrics["segment"].max() == 0


def test_an_evaluation_by_epoch_stands_at_the_step_before_it(tmp_path: Path) -> None:
    text = "step 50 loss=2.0\nstep 100 loss=1.5\nEpoch 1: val_loss=1.7\nstep 150 loss=1.2\n"
    assert points(load(tmp_path, text), "eval/loss") == [(100, 1.7)]


def test_a_bar_drawn_late_gives_way_to_the_one_drawn_after_the_numbers(tmp_path: Path) -> None:
    bar = "\r 5%|#  | {}/60 [00:01<00:09,  5.00it/s]"
    lines = [
        bar.format(step - step % 7)
        + f"\r{{'loss': {3 - step / 60}, 'epoch': 0.1}}\n"
        + bar.format(step)
        for step in range(10, 61, 10)
    ]
    run = load(tmp_path, "".join(lines))
    assert run.series("train/loss").step.tolist() == list(range(10, 61, 10))


def test_a_bar_that_stands_still_is_not_taken_for_the_step(tmp_path: Path) -> None:
    lines = ["100%|##| 60/60 [00:09<00:00,  5.00it/s]"]
    lines += [f"{{'loss': {3 - step / 10}, 'epoch': 0.1}}" for step in range(1, 9)]
    assert load(tmp_path, "\n".join(lines)).series("train/loss").step.tolist() == list(range(1, 9))


def test_a_line_of_megatron_has_one_step(tmp_path: Path) -> None:
    run = load(
        tmp_path,
        " iteration      122/  250000 | consumed samples:       124928 | elapsed time per iteration (ms):"
        " 86545.2 | learning rate: 9.150E-06 | global batch size:  1024 | lm loss: 2.504220E+00 |"
        " loss scale: 1.0 | grad norm: 0.231 | number of skipped iterations:   0 |\n",
    )
    assert points(run) == [(122, 2.50422)]
    assert points(run, "train/grad_norm") == [(122, 0.231)]
    assert run.planned_steps == 250_000


def test_one_rank_is_kept_even_if_it_is_not_the_first(tmp_path: Path) -> None:
    both = "".join(f"[rank{r}]: step {s} loss={s + r}\n" for s in (1, 2) for r in (2, 3))
    run = load(tmp_path, both)
    assert points(run) == [(1, 3.0), (2, 4.0)]
    assert any("2 metric lines" in problem.text for problem in run.sources[0].problems)


def test_words_that_only_look_like_metrics_are_prose(tmp_path: Path) -> None:
    prose = "Epoch 1\nTotal apples: 6\nanswer: 12\nfewer: 8\nrabbits: 3\n"
    path = tmp_path / "train.log"
    path.write_text(prose)
    (table,) = read(path, path)
    assert len(table.metrics) == 0
    assert any("no metric" in problem.text for problem in table.problems)


def test_losses_without_any_step_are_counted(tmp_path: Path) -> None:
    run = load(tmp_path, "".join(f"train loss = {9 - n / 2}\n" for n in range(12)))
    assert run.series("train/loss").step.tolist() == list(range(1, 13))
    assert any("counted" in problem.text for problem in run.sources[0].problems)


def test_a_line_too_long_for_a_log_is_cut_and_reported(tmp_path: Path) -> None:
    run = load(tmp_path, "x" * 1_200_000 + "\nstep 1 loss=2.0\n")
    assert points(run) == [(1, 2.0)]
    assert any("was cut" in problem.text for problem in run.sources[0].problems)


@pytest.mark.parametrize(
    ("name", "head", "claimed"),
    [
        ("train.log", b"hello", True),
        ("slurm-17.out", b"hello", True),
        ("job.o123", b"hello", True),
        ("workerlog.0", b"hello", True),
        ("history", b"step 1 loss: 2.5", True),
        ("notes", b"hello", False),
        ("train.py", b"loss: 2.5", False),
        ("README.txt", b"loss: 2.5", False),
        ("model.log", b"\0\1\2", False),
    ],
)
def test_what_is_taken_for_a_log(name: str, head: bytes, claimed: bool) -> None:
    assert claims(Path(name), head) is claimed


@pytest.mark.parametrize(
    "line",
    [
        "1" * 60_000 + "/s",
        "CUDA out of memory " + "1" * 60_000,
        "CUDA out of memory. Tried to allocate 1.2.3 GiB (GPU 0)",
        "Gradient overflow, reducing loss scale to 1.2.3",
        "Epoch " + "9" * 5000 + " loss=1",
        "1/" + "9" * 5000 + " [it/s loss=1",
        '{"step": 1, "epoch": 1e999, "loss": 1}',
        "{'loss': 1.0, 'epoch': nan}",
        '{"loss": 1, "a": ' + '{"a":' * 1000 + "1" + "}" * 1001,
        "Epoch: [999999999][999999999999/999999999999] loss 1.0",
        "step=" + "9" * 5000 + " loss=" + "9" * 5000,
    ],
)
def test_hostile_lines_are_read_without_an_exception(tmp_path: Path, line: str) -> None:
    path = tmp_path / "train.log"
    path.write_text(line + "\nstep 1 loss=2.0\n")
    (table,) = read(path, path)
    assert 2.0 in table.metrics["value"].tolist()


def test_a_dictionary_of_results_belongs_to_what_is_named_before_it(tmp_path: Path) -> None:
    run = load(
        tmp_path,
        "Epoch: 1 | Step: 10 | Train loss: 0.9\nEvaluation results: {'loss': nan, 'accuracy': 0.5}\n"
        "Epoch: 1 | Step: 20 | Train loss: 0.8\nEvaluation results: {'loss': 0.7, 'accuracy': 0.6}\n",
    )
    assert [value for _, value in points(run)] == [0.9, 0.8]
    assert [value for _, value in points(run, "eval/accuracy")] == [0.5, 0.6]
