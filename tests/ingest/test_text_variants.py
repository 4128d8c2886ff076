"""Logs of loops and frameworks as they differ from each other: wrapped values, headings, bars, tables."""

from pathlib import Path

import numpy as np
import pytest

import loganalyze as la
from loganalyze.names import canonical
from loganalyze.run import EventKind, Status

LOSS, EVAL, ACCURACY, RATE = "train/loss", "eval/loss", "eval/accuracy", "train/learning_rate"
Curves = dict[str, list[tuple[int, float]]]


def bar(done: int, total: int, unit: str = "it/s") -> str:
    return f"{100 * done // total}%|####    | {done}/{total} [00:01<00:09, 9.1{unit}"


LOGS: dict[str, tuple[str, Curves]] = {
    "tensors and lists": (
        "step=5 loss=tensor(2.5, device='cuda:0', grad_fn=<NllLossBackward>) lr=[1e-05]\n"
        "step=10 loss=tensor(2.25, device='cuda:0', grad_fn=<NllLossBackward>) lr=[2e-05]\n",
        {LOSS: [(5, 2.5), (10, 2.25)], RATE: [(5, 1e-5), (10, 2e-5)]},
    ),
    "a number before the names": (
        "  1000 loss=2.5 lr=0.001\n  1010 loss=2.25 lr=0.001\n  1010 valid_loss=2.3\n",
        {LOSS: [(1000, 2.5), (1010, 2.25)], RATE: [(1000, 1e-3), (1010, 1e-3)], EVAL: [(1010, 2.3)]},
    ),
    "the terms of pix2pix": (
        "(epoch: 1, iters: 100, time: 0.1) G_GAN: 0.5 G_L1: 2.5 D_real: 0.7 D_fake: 0.6\n"
        "(epoch: 1, iters: 200, time: 0.1) G_GAN: 0.6 G_L1: 2.25 D_real: 0.6 D_fake: 0.7\n",
        {"G_GAN": [(100, 0.5), (200, 0.6)], "D_fake": [(100, 0.6), (200, 0.7)]},
    ),
    "numpy scalars": (
        "iter 1 loss np.float32(2.5)\niter 2 loss np.float32(2.25)\n",
        {LOSS: [(1, 2.5), (2, 2.25)]},
    ),
    "the best is not the last": (
        "".join(
            f"Epoch {e} train_loss: {3 - e / 10:.1f} val loss: {3 + e / 10:.1f}\n"
            "Best val loss: 3.1 at epoch 1\n"
            for e in (1, 2, 3)
        ),
        {LOSS: [(1, 2.9), (2, 2.8), (3, 2.7)], EVAL: [(1, 3.1), (2, 3.2), (3, 3.3)]},
    ),
    "arrows": (
        "Epoch: 0 -> Training Loss -> 2.5, Validation Loss -> 2.6\n"
        "Epoch: 1 -> Training Loss -> 2.4, Validation Loss -> 2.5\n",
        {LOSS: [(0, 2.5), (1, 2.4)], EVAL: [(0, 2.6), (1, 2.5)]},
    ),
    "the quickstart of PyTorch": (
        "".join(
            f"Epoch {e}\n-------------------------------\nloss: {2.5 - e / 10:.6f}  [   64/60000]\n"
            f"loss: {2.4 - e / 10:.6f}  [ 6464/60000]\n"
            f"Test Error: \n Accuracy: {40 + e}.0%, Avg loss: {2.3 - e / 10:.6f} \n\n"
            for e in (1, 2)
        ),
        {
            LOSS: [(64, 2.4), (6464, 2.3), (60064, 2.3), (66464, 2.2)],
            EVAL: [(60000, 2.2), (120000, 2.1)],
            ACCURACY: [(60000, 41), (120000, 42)],
        },
    ),
    "the bar of CIFAR-10 loops": (
        "".join(
            f"\nEpoch: {e}\n"
            + "".join(
                f" [==>....]  Step: 50ms | Tot: {k}s20ms | Loss: {2.5 - e - k / 10:.1f} | Acc: 20.000% (100/500) {k}/2 \r"
                for k in (1, 2)
            )
            + f" [======>]  Step: 20ms | Tot: 1s | Loss: {2 - e}.5 | Acc: 41.000% (41/100) 1/1 \nSaving..\n"
            for e in (0, 1, 2)
        ),
        {
            LOSS: [(1, 2.4), (2, 2.3), (3, 1.4), (4, 1.3), (5, 0.4), (6, 0.3)],
            EVAL: [(2, 2.5), (4, 1.5), (6, 0.5)],
        },
    ),
    "two bars in turn": (
        "".join(
            f"Epoch {e}/3: {bar(k, 100)}, loss={3 - e / 10 - k / 1000:.3f}]\r"
            if total == 100
            else f"{bar(k, 10)}, loss={3.5 - e / 10:.3f}]\r"
            for e in (1, 2, 3)
            for total, places in ((100, (50, 100)), (10, (10,)))
            for k in places
        ),
        {
            LOSS: [(50, 2.85), (100, 2.8), (150, 2.75), (200, 2.7), (250, 2.65), (300, 2.6)],
            EVAL: [(100, 3.4), (200, 3.3), (300, 3.2)],
        },
    ),
    "AllenNLP's bars": (
        "".join(
            f"2021-01-02 03:04:05,123 - INFO - allennlp.training.trainer - Epoch {e}/1\n"
            "2021-01-02 03:04:05,123 - INFO - allennlp.training.trainer - Training\n"
            f"loss: {0.9 - e / 10:.2f} ||: {bar(50, 100)}]\rloss: {0.8 - e / 10:.2f} ||: {bar(100, 100)}]\n"
            "2021-01-02 03:04:05,123 - INFO - allennlp.training.trainer - Validating\n"
            f"loss: {0.7 - e / 10:.2f} ||: {bar(10, 10)}]\n"
            for e in (0, 1)
        ),
        {
            LOSS: [(50, 0.9), (100, 0.8), (150, 0.8), (200, 0.7)],
            EVAL: [(100, 0.7), (200, 0.6)],
        },
    ),
    "a bar that counts batches": (
        f"{bar(10, 100, 'batch/s')}, loss=2.5]\r{bar(20, 100, 'batch/s')}, loss=2.4]\n",
        {LOSS: [(10, 2.5), (20, 2.4)]},
    ),
    "a bar drawn at nothing and at all": (
        "".join(f"Epoch {e}: {bar(k, 20)}, loss={3 - e - k / 20:.2f}]\r" for e in (0, 1) for k in (0, 10, 20)),
        {LOSS: [(0, 3.0), (10, 2.5), (20, 2.0), (30, 1.5), (40, 1.0)]},
    ),
    "an evaluation with a count of its own": (
        "".join(
            f"[2022/01/02 03:04:05] root INFO: [Train][Epoch {e}/120][Iter: {i}/40]lr: 0.1, loss: {6 - e - i / 40:.2f}, batch_cost: 0.3s\n"
            + "[2022/01/02 03:04:05] root INFO: [Eval][Epoch 1][Iter: 0/10]loss: 5.0, batch_cost: 0.3s\n" * (i == 20)
            for e in (1, 2)
            for i in (0, 20)
        ),
        {LOSS: [(0, 5), (20, 4.5), (40, 4), (60, 3.5)]},
    ),
    "the end of an ImageNet evaluation": (
        "Epoch: [0][ 10/500]\tLoss 6.9 (7.0)\tAcc@1   0.4 (  0.1)\nTest: [ 0/196]\tLoss 6.5 (6.5)\tAcc@1 2.0 ( 2.0)\n"
        " *   Acc@1 3.352 Acc@5 10.114\n",
        {LOSS: [(10, 6.9)], ACCURACY: [(10, 3.352)]},
    ),
    "torchtitan validates": (
        "step:  1  loss:  8.1  grad_norm:  1.4\nstep: 10  loss:  5.3  grad_norm:  2.1\nvalidate step: 10  loss:  5.9\n",
        {LOSS: [(1, 8.1), (10, 5.3)], EVAL: [(10, 5.9)]},
    ),
    "a dictionary below its epoch": (
        "epoch 0: {'accuracy': 0.5, 'f1': 0.4}\nepoch 1: {'accuracy': 0.6, 'f1': 0.5}\n",
        {"train/accuracy": [(0, 0.5), (1, 0.6)]},
    ),
    "a dictionary in a dictionary": (
        "{'step': 10, 'train/loss': 2.5, 'perf': {'tok/s': 1000.0}}\n{'step': 20, 'train/loss': 2.4, 'perf': {'tok/s': 1000.0}}\n",
        {LOSS: [(10, 2.5), (20, 2.4)], "perf/tokens_per_second": [(10, 1000), (20, 1000)]},
    ),
    "JSON in an envelope": (
        '{"event": "step", "data": {"step": 10, "metrics": {"loss": 2.5}}}\n'
        '{"event": "step", "data": {"step": 20, "metrics": {"loss": 2.4}}}\n',
        {LOSS: [(10, 2.5), (20, 2.4)]},
    ),
    "Open MPI's tags": (
        "".join(f"[1,{r}]<stdout>:Epoch 0 step {i} loss {3 + r - i / 10:.1f}\n" for i in (1, 2) for r in (0, 1)),
        {LOSS: [(1, 2.9), (2, 2.8)]},
    ),
    "Ray's workers": (
        "(RayTrainWorker pid=123, ip=10.0.0.1) step 1 loss 2.9\n(RayTrainWorker pid=123, ip=10.0.0.1) step 2 loss 2.8\n",
        {LOSS: [(1, 2.9), (2, 2.8)], "pid": []},
    ),
    "JAX": (
        "I0102 03:04:05.123456 139812 logging_writer.py:48] [100] learning_rate=0.001, train/loss=2.9\n"
        "I0102 03:04:06.123456 139812 logging_writer.py:48] [200] learning_rate=0.001, train/loss=2.8\n",
        {LOSS: [(100, 2.9), (200, 2.8)], RATE: [(100, 1e-3), (200, 1e-3)]},
    ),
    "boosted trees": (
        "[0]\ttrain-logloss:0.69000\teval-logloss:0.69100\n[1]\ttrain-logloss:0.60000\teval-logloss:0.61000\n",
        {LOSS: [(0, 0.69), (1, 0.6)], EVAL: [(0, 0.691), (1, 0.61)]},
    ),
    "a table of words and numbers": (
        "epoch     train_loss  valid_loss  accuracy  time    \n0         2.5    2.6    0.50  00:12     \n1         2.4    2.5    0.55  00:12     \n",
        {LOSS: [(0, 2.5), (1, 2.4)], EVAL: [(0, 2.6), (1, 2.5)]},
    ),
    "a table in a box": (
        "\u250f\u2501\u2501\u2533\u2501\u2501\u2513\n\u2503 Epoch \u2503 Train Loss \u2503 Val Loss \u2503\n\u2521\u2501\u2501\u2547\u2501\u2501\u2529\n"
        "\u2502 1     \u2502 2.5        \u2502 2.6      \u2502\n\u2502 2     \u2502 2.4        \u2502 2.5      \u2502\n",
        {LOSS: [(1, 2.5), (2, 2.4)], EVAL: [(1, 2.6), (2, 2.5)]},
    ),
    "a table of two columns": (
        "Step\tTraining Loss\n10\t2.500000\n20\t2.400000\n", {LOSS: [(10, 2.5), (20, 2.4)]},
    ),
    "OLMo": (
        "".join(
            f"2024-01-02 03:04:05.123\tnode:0\tolmo.train:967\tINFO\t[step={i}/5000]\n    train/CrossEntropyLoss={3 - i / 10:.1f}\n"
            f"    optim/learning_rate_group0=0.0003\n" for i in (1, 2)
        ),
        {LOSS: [(1, 2.9), (2, 2.8)]},
    ),
    "Composer": (
        "".join(
            f"[batch={i}/100]:\n\t Train time/epoch: 0\n\t Train time/batch: {i}\n\t Train loss/train/total: {3 - i / 10:.1f}\n" for i in (1, 2)
        ),
        {LOSS: [(1, 2.9), (2, 2.8)]},
    ),
    "LitGPT": (
        "Epoch 1 | iter 4 step 1 | loss train: 2.9, val: n/a | iter time: 300.12 ms (step)\n"
        "Epoch 1 | iter 8 step 2 | loss train: 2.8, val: 2.500 | iter time: 300.12 ms (step)\n",
        {LOSS: [(4, 2.9), (8, 2.8)], EVAL: [(8, 2.5)], "perf/step_seconds": [(4, 0.30012), (8, 0.30012)]},
    ),
    "thousands of tokens": (
        "Step: 1 | Loss: 2.9 | Tokens/s: 12.3K\nStep: 2 | Loss: 2.8 | Tokens/s: 12.3K\n",
        {LOSS: [(1, 2.9), (2, 2.8)], "perf/tokens_per_second": [(1, 12300), (2, 12300)]},
    ),
    "thousands of steps": (
        "[1,000/1,000,000] loss = 2.9\n[2,000/1,000,000] loss = 2.8\n", {LOSS: [(1000, 2.9), (2000, 2.8)]},
    ),
    "flair's development set": (
        "2021-01-02 03:04:05,123 EPOCH 1 done: loss 2.5 - lr 0.1\n2021-01-02 03:04:06,123 DEV : loss 1.5 - f1-score (micro avg)  0.7512\n"
        "2021-01-02 03:05:05,123 EPOCH 2 done: loss 2.4 - lr 0.1\n2021-01-02 03:05:06,123 DEV : loss 1.4 - f1-score (micro avg)  0.7612\n",
        {LOSS: [(1, 2.5), (2, 2.4)], EVAL: [(1, 1.5), (2, 1.4)], "eval/f1_score": [(1, 0.7512), (2, 0.7612)]},
    ),
    "dictionaries over several lines": (
        "".join(f"{{'epoch': {i / 10},\n 'learning_rate': 1e-05,\n 'loss': {3 - i / 10:.1f},\n 'step': {i}}}\n" for i in (1, 2)),
        {LOSS: [(1, 2.9), (2, 2.8)], RATE: [(1, 1e-5), (2, 1e-5)]},
    ),
    "JSON over several lines": (
        "".join(f'{{\n  "step": {i},\n  "loss": {3 - i / 10:.1f}\n}}\n' for i in (1, 2)), {LOSS: [(1, 2.9), (2, 2.8)]},
    ),
    "Swin": (
        "[2023-01-02 03:04:05 swin_tiny] (main.py 226): INFO Train: [0/300][10/50]\tlr 0.000001\tloss 3.0000 (6.9123)\n"
        "[2023-01-02 03:04:05 swin_tiny] (main.py 226): INFO Train: [1/300][10/50]\tlr 0.000001\tloss 2.0000 (6.9123)\n"
        "[2023-01-02 03:05:05 swin_tiny] (main.py 287): INFO  * Acc@1 21.1 Acc@5 40.2\n"
        "[2023-01-02 03:05:05 swin_tiny] (main.py 162): INFO Max accuracy: 99.9%\n",
        {LOSS: [(10, 3), (60, 2)], ACCURACY: [(60, 21.1)], "train/accuracy": []},
    ),
    "an evaluation before the first step": (
        "val loss 11.0\nstep    1/19560 | loss 10.9 (+nanz)| norm 15.3 (+nanz)\nstep    2/19560 | loss 10.8 (+nanz)| norm 15.3 (+nanz)\n"
        "val loss 10.5\n",
        {LOSS: [(1, 10.9), (2, 10.8)], EVAL: [(1, 11.0), (2, 10.5)]},
    ),
    "averages of the training": (
        "Epoch 1: Average training loss: 2.9, average validation loss: 3.0\nEpoch 2: Average training loss: 2.8, average validation loss: 2.9\n",
        {LOSS: [(1, 2.9), (2, 2.8)], EVAL: [(1, 3.0), (2, 2.9)]},
    ),
    "Kaldi's nnet3": (
        "".join(
            "LOG (nnet3-train[5.5.0~1-abc]:PrintStatsForThisPhase():nnet-training.cc:280) Average objective function for "
            f"'output' for minibatches {i}-{i + 9} is -0.{20 - i} over 38400 frames.\n" for i in (0, 10)
        ),
        {"objective function": [(9, -0.20), (19, -0.10)]},
    ),
    "Megatron's validation": (
        " iteration      100/     500 | consumed samples:  25600 | learning rate: 1.5E-05 | lm loss: 7.7E+00 | number of skipped iterations:   0 | number of nan iterations:   0 |\n"
        "------------------------------------------------\n validation loss at iteration 100 | lm loss value: 7.500000E+00 | lm loss PPL: 1.7E+03 | \n",
        {LOSS: [(100, 7.7)], EVAL: [(100, 7.5)]},
    ),
    "fairseq": (
        "| epoch 001:    100 / 1099 loss=9.1, nll_loss=8.1, num_updates=100, lr=0.000125\n"
        "| epoch 001:    200 / 1099 loss=8.1, nll_loss=7.1, num_updates=200, lr=0.000125\n",
        {LOSS: [(100, 9.1), (200, 8.1)], "epoch 001": []},
    ),
    "Ultralytics": (
        "      Epoch    GPU_mem   box_loss   cls_loss   dfl_loss  Instances       Size\n"
        + "".join(
            f"        {e}/2      2.61G      1.{e}      1.5      1.25        215        640: {bar(8, 8)}]\n"
            f"                 Class     Images  Instances      Box(P          R      mAP50  mAP50-95): {bar(4, 4)}]\n"
            f"                   all        128        929       0.64      0.537      0.6{e}      0.446\n"
            for e in (1, 2)
        ),
        {LOSS: [(8, 3.85), (16, 3.95)], "metrics/mAP50": [(8, 0.61), (16, 0.62)]},
    ),
}  # fmt: skip


def load(folder: Path, text: str) -> la.Run:
    path = folder / "train.log"
    path.write_text(text, encoding="utf-8")
    return la.load(path)


@pytest.mark.parametrize("name", LOGS)
def test_the_curves_of_a_log(tmp_path: Path, name: str) -> None:
    text, curves = LOGS[name]
    run = load(tmp_path, text)
    for metric, curve in curves.items():
        series = run.series(metric)
        assert series.step.tolist() == [step for step, _ in curve], metric
        np.testing.assert_allclose(series.value, [value for _, value in curve], err_msg=metric)
    assert set(run.metrics["segment"]) == {0}


def test_a_count_of_skipped_iterations_is_no_skipped_step(tmp_path: Path) -> None:
    run = load(tmp_path, LOGS["Megatron's validation"][0] + "OVERFLOW! Skipping step.\n")
    assert [event.where.row for event in run.events_of(EventKind.SKIPPED_STEP)] == [4]


def test_dictionaries_are_counted_where_the_other_steps_come_too_rarely(tmp_path: Path) -> None:
    engine = "[2023-01-02 03:04:05,123] [INFO] [logging.py:96:log_dist] [Rank 0] step={}, skipped=0, lr=[1e-05], mom=[0.9]\n"
    dicts = "".join(f"{{'loss': {3 - i / 10:.1f}, 'epoch': {i / 100}}}\n" for i in range(1, 11))
    often = "".join(
        engine.format(5 * i) + line + "\n" for i, line in enumerate(dicts.split("\n")[:-1], 1)
    )
    rare = load(tmp_path, engine.format(2000) + dicts)
    assert rare.series("train/loss").step.tolist() == list(range(1, 11))
    assert load(tmp_path, often).series("train/loss").step.tolist() == list(range(5, 55, 5))


def test_lines_of_a_dictionary_keep_the_number_of_the_first(tmp_path: Path) -> None:
    run = load(
        tmp_path,
        "one\n{'loss': 2.5,\n 'step': 1}\ntwo\n{'loss': 2.4,\n 'step': 2}\nstep 3 loss 2.3\n",
    )
    assert run.series("train/loss").row.tolist() == [2, 5, 7]


def test_the_time_that_json_states(tmp_path: Path) -> None:
    text = "".join(
        f'{{"ts": "2024-01-31T03:04:0{i}.5Z", "step": {i}, "loss": 2.{i}}}\n' for i in range(1, 6)
    )
    assert load(tmp_path, text).series("train/loss").time.tolist() == [
        1706670241.5 + i for i in range(5)
    ]


def test_month_first_stamps_are_times(tmp_path: Path) -> None:
    text = "".join(
        f"01/31/2024 03:04:0{i} - INFO - __main__ -   global_step = {i}, loss = 2.{i}\n"
        for i in range(1, 6)
    )
    times = load(tmp_path, text).series("train/loss").time
    assert (times[1:] - times[:-1]).tolist() == [1.0] * 4
    assert times[0] == 1706670241.0


@pytest.mark.parametrize(
    "line",
    [
        "| done training in 630.1 seconds",
        "[after training is done] datetime: 2024-05-01 11:00:00",
        "`Trainer.fit` stopped: `max_epochs=3` reached.",
        "3 epochs completed in 0.005 hours.",
    ],
)
def test_how_frameworks_say_that_they_are_done(tmp_path: Path, line: str) -> None:
    run = load(tmp_path, f"step 1 loss 2.0\nstep 2 loss 1.0\n{line}\n")
    assert run.status is Status.COMPLETED


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("val_acc@1", "eval/accuracy"),
        ("test/top5", "eval/top5"),
        ("valid_lm_loss", "eval/loss"),
        ("eval_f1", "eval/f1"),
        ("train/rss_mb", "host/memory_rss"),
    ],
)
def test_metrics_of_the_training_are_known_with_the_prefix_of_an_evaluation(
    name: str, metric: str
) -> None:
    assert canonical(name) == metric


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("Learning Rate: 0.001, Momentum: 0.9, Decay: 0.0005\n", {"learning_rate": 0.001}),
        ("args: {'lr': 0.5, 'batch_size': 32, 'name': 'x'}\n", {"lr": 0.5, "batch_size": 32}),
        ('config {\n  "vocab_size": 30522,\n  "lr": 0.5\n}\n', {"vocab_size": 30522, "lr": 0.5}),
        ("| learning rate (LR)  | 6.0e-04  |\n| max_steps           | 100 |\n", {"learning_rate": 6e-4, "max_steps": 100}),
        ("   load-checkpoint ................................: (1.21, 2.22)\n", {}),
        ("  loss: 2.5\n", {}),
    ],
)  # fmt: skip
def test_settings_that_a_program_printed(
    tmp_path: Path, text: str, known: dict[str, float]
) -> None:
    run = load(tmp_path, text + "step 1 loss 2.0\nstep 2 loss 1.0\n")
    assert {key: value.value for key, value in run.config.items()} == known


def test_a_step_between_the_name_of_a_loss_and_its_value_is_no_loss(tmp_path: Path) -> None:
    lines = [f"Train loss {k} 0.{900 - k} Grad Norm 0.25 1.10s/it" for k in range(40, 44)]
    path = tmp_path / "train.log"
    path.write_text("\n".join([*lines, "Validation loss 43:  0.871250"]))
    run = la.load(path)
    loss, held_out = run.series("train/loss"), run.series("eval/loss")
    assert loss.step.tolist() == [40, 41, 42, 43]
    assert loss.value.tolist() == [0.860, 0.859, 0.858, 0.857]
    assert held_out.value.tolist() == [0.871250]


def test_an_epoch_that_begins_right_behind_a_bar_has_its_own_number(tmp_path: Path) -> None:
    text = "".join(
        f"49/50 [====>.] - ETA: 0s - loss: 1.{7 - k}040Epoch 0000{k}: val_loss did not improve\n"
        f"50/50 [=====] - 9s 180ms/step - loss: 1.{7 - k}040 - val_loss: 1.9\n"
        for k in (1, 2, 3)
    )
    path = tmp_path / "train.log"
    path.write_text(text)
    run = la.load(path)
    assert run.series("train/loss").step.tolist() == [50, 100, 150]
    assert run.series("train/loss").value.tolist() == [1.604, 1.504, 1.404]
