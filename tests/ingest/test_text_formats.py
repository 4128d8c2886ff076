"""What the usual loops, frameworks and loggers print, one short log each: metrics and their steps."""

from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import loganalyze as la
from loganalyze.ingest import stdout, text_reader

LOSS, EVAL, RATE, NORM = "train/loss", "eval/loss", "train/learning_rate", "train/grad_norm"
nan = float("nan")


class Log(NamedTuple):
    text: str
    curves: dict[str, list[tuple[int, float]]]


LOGS = {
    "nanoGPT": Log(
        "step 0: train loss 4.2874, val loss 4.2823\n"
        "iter 0: loss 4.2664, time 38527.21ms, mfu -100.00%\n"
        "iter 10: loss 3.2410, time 102.16ms, mfu 3.65%\n",
        {EVAL: [(0, 4.2823)], LOSS: [(0, 4.2664), (10, 3.2410)]},
    ),
    "modded-nanogpt": Log(
        "step:0/1770 val_loss:10.8258 train_time:0ms step_avg:0.00ms\n"
        "step:125/1770 val_loss:4.3612 train_time:12001ms step_avg:96.01ms\n",
        {EVAL: [(0, 10.8258), (125, 4.3612)]},
    ),
    "llm.c": Log(
        "step    1/19560 | loss 11.009463 (+nanz)| norm 15.3674 (+nanz)| lr 8.57e-07 | 3056.36 ms | "
        "42.6% bf16 MFU | 171535 tok/s\n"
        "step    2/19560 | loss 10.961030 (+nanz)| norm 15.2051 (+nanz)| lr 1.71e-06 | 2812.41 ms | "
        "46.3% bf16 MFU | 186421 tok/s\n",
        {LOSS: [(1, 11.009463), (2, 10.961030)], NORM: [(1, 15.3674), (2, 15.2051)], RATE: [(1, 8.57e-7), (2, 1.71e-6)]},
    ),
    "AverageMeter": Log(
        "Epoch: [0][  0/500]\tTime  9.1 ( 9.1)\tData  4.2 ( 4.2)\tLoss 7.0e+00 (7.0e+00)\tAcc@1   0.0 (  0.0)\n"
        "Epoch: [0][ 10/500]\tTime  0.3 ( 1.1)\tData  0.0 ( 0.4)\tLoss 6.9e+00 (7.0e+00)\tAcc@1   0.4 (  0.1)\n"
        "Epoch: [1][ 10/500]\tTime  0.3 ( 1.1)\tData  0.0 ( 0.4)\tLoss 5.5e+00 (5.6e+00)\tAcc@1   8.0 (  7.1)\n",
        {LOSS: [(0, 7.0), (10, 6.9), (510, 5.5)], "perf/step_seconds": [(0, 9.1), (10, 0.3), (510, 0.3)],
         "perf/data_seconds": [(0, 4.2), (10, 0.0), (510, 0.0)]},
    ),
    "timm": Log(
        "Train: 0 [   0/1251 (  0%)]  Loss: 6.95 (6.95)  Time: 9.1s, 112.3/s  (9.1s, 112.3/s)  LR: 1.000e-06  Data: 4.1 (4.1)\n"
        "Train: 0 [  50/1251 (  4%)]  Loss: 6.94 (6.95)  Time: 0.4s, 2560.1/s  (0.6s, 1706.1/s)  LR: 1.000e-06  Data: 0.0 (0.1)\n"
        "Train: 1 [  50/1251 (  4%)]  Loss: 6.70 (6.75)  Time: 0.4s, 2560.1/s  (0.6s, 1706.1/s)  LR: 2.000e-05  Data: 0.0 (0.1)\n",
        {LOSS: [(0, 6.95), (50, 6.94), (1301, 6.70)], RATE: [(0, 1e-6), (50, 1e-6), (1301, 2e-5)]},
    ),
    "tutorial of PyTorch": Log(
        "[1,  2000] loss: 2.182\n[1,  4000] loss: 1.857\n[2,  2000] loss: 1.420\n[2,  4000] loss: 1.374\n",
        {LOSS: [(2000, 2.182), (4000, 1.857), (6000, 1.420), (8000, 1.374)]},
    ),
    "epoch and step in brackets": Log(
        "Epoch [1/5], Step [100/600], Loss: 2.1\nEpoch [1/5], Step [600/600], Loss: 1.1\n"
        "Epoch [2/5], Step [100/600], Loss: 0.9\n",
        {LOSS: [(100, 2.1), (600, 1.1), (700, 0.9)]},
    ),
    "MNIST example": Log(
        "Train Epoch: 1 [0/60000 (0%)]\tLoss: 2.300039\nTrain Epoch: 1 [640/60000 (1%)]\tLoss: 1.213470\n\n"
        "Test set: Average loss: 0.0512, Accuracy: 9830/10000 (98%)\n\n"
        "Train Epoch: 2 [0/60000 (0%)]\tLoss: 0.050000\n",
        {EVAL: [(640, 0.0512)], "eval/accuracy": [(640, 98.0)]},
    ),
    "Keras, one line per epoch": Log(
        "Epoch 1/3\n10/10 - 2s - loss: 2.2901 - accuracy: 0.1400 - val_loss: 2.2105 - val_accuracy: 0.2000\n"
        "Epoch 2/3\n10/10 - 1s - loss: 2.0210 - accuracy: 0.3100 - val_loss: 1.9820 - val_accuracy: 0.3300\n",
        {LOSS: [(10, 2.2901), (20, 2.0210)], EVAL: [(10, 2.2105), (20, 1.9820)],
         "eval/accuracy": [(10, 0.2), (20, 0.33)]},
    ),
    "Megatron": Log(
        " iteration      100/  500 | consumed samples:  25600 | elapsed time per iteration (ms): 812.4 | learning rate: 1.500E-05 "
        "| global batch size:  256 | lm loss: 7.712E+00 | loss scale: 65536.0 | grad norm: 2.310 | number of skipped iterations:   0 "
        "| number of nan iterations:   0 |\n"
        " iteration      200/  500 | consumed samples:  51200 | elapsed time per iteration (ms): 808.1 | learning rate: 3.000E-05 "
        "| global batch size:  256 | loss scale: 32768.0 | grad norm: nan | number of skipped iterations:   0 "
        "| number of nan iterations:   0 |\n"
        " iteration      300/  500 | consumed samples:  76800 | elapsed time per iteration (ms): 808.1 | learning rate: 4.500E-05 "
        "| global batch size:  256 | lm loss: 6.100E+00 | loss scale: 32768.0 | grad norm: 1.9 | number of skipped iterations:   0 "
        "| number of nan iterations:   0 |\n",
        {LOSS: [(100, 7.712), (200, nan), (300, 6.1)], RATE: [(100, 1.5e-5), (200, 3e-5), (300, 4.5e-5)]},
    ),
    "torchtitan": Log(
        "[rank0]:[titan] 2025-01-02 10:11:12,123 - root - INFO - step:  1  loss:  8.1375  grad_norm:  1.4092  "
        "memory:  0.95GiB(1.00%)  tps: 1,341  tflops: 0.10  mfu: 0.03%\n"
        "[rank0]:[titan] 2025-01-02 10:11:13,123 - root - INFO - step: 10  loss:  5.3870  grad_norm:  2.1094  "
        "memory:  0.95GiB(1.00%)  tps: 71,341  tflops: 5.13  mfu: 1.64%\n",
        {LOSS: [(1, 8.1375), (10, 5.3870)], NORM: [(1, 1.4092), (10, 2.1094)]},
    ),
    "mmengine": Log(
        "2023/05/01 10:00:00 - mmengine - INFO - Epoch(train)   [1][ 50/100]  base_lr: 1.0e-02 lr: 1.0e-02  eta: 0:10:00  "
        "time: 0.4210  data_time: 0.0110  memory: 5012  grad_norm: 3.2100  loss: 1.9021  loss_cls: 1.1020  loss_bbox: 0.8001\n"
        "2023/05/01 10:00:30 - mmengine - INFO - Epoch(train)   [2][ 50/100]  base_lr: 1.0e-02 lr: 1.0e-02  eta: 0:09:00  "
        "time: 0.4110  data_time: 0.0100  memory: 5012  grad_norm: 2.9100  loss: 1.5021  loss_cls: 0.9020  loss_bbox: 0.6001\n",
        {LOSS: [(50, 1.9021), (150, 1.5021)], RATE: [(50, 1e-2), (150, 1e-2)], NORM: [(50, 3.21), (150, 2.91)],
         "perf/step_seconds": [(50, 0.421), (150, 0.411)]},
    ),
    "detectron2": Log(
        "[05/01 10:00:00 d2.utils.events]: \x1b[0m eta: 1:02:03  iter: 19  total_loss: 3.212  loss_cls: 2.1  loss_box_reg: 0.9  "
        "time: 0.31  data_time: 0.01  lr: 0.00039962  max_mem: 4010M\n"
        "[05/01 10:00:09 d2.utils.events]: \x1b[0m eta: 1:02:03  iter: 39  total_loss: 2.871  loss_cls: 1.9  loss_box_reg: 0.8  "
        "time: 0.30  data_time: 0.01  lr: 0.00079922  max_mem: 4010M\n",
        {LOSS: [(19, 3.212), (39, 2.871)], RATE: [(19, 0.00039962), (39, 0.00079922)],
         "perf/step_seconds": [(19, 0.31), (39, 0.3)]},
    ),
    "fairseq": Log(
        "2021-01-02 03:04:05 | INFO | train_inner | epoch 001:    100 / 4321 loss=12.061, nll_loss=11.42, ppl=2740.2, wps=21000, "
        "ups=2.1, wpb=9900, bsz=320, num_updates=100, lr=1.25e-05, gnorm=3.62, train_wall=48, wall=60\n"
        "2021-01-02 03:05:05 | INFO | train_inner | epoch 001:    200 / 4321 loss=10.402, nll_loss=9.61, ppl=781.4, wps=21000, "
        "ups=2.1, wpb=9900, bsz=320, num_updates=200, lr=2.5e-05, gnorm=2.11, train_wall=48, wall=120\n",
        {LOSS: [(100, 12.061), (200, 10.402)], RATE: [(100, 1.25e-5), (200, 2.5e-5)], NORM: [(100, 3.62), (200, 2.11)]},
    ),
    "flair": Log(
        "2021-01-02 03:04:05,123 epoch 1 - iter 10/100 - loss 2.71000000 - samples/sec: 51.20 - lr: 0.100000\n"
        "2021-01-02 03:04:15,123 epoch 1 - iter 20/100 - loss 2.31000000 - samples/sec: 52.20 - lr: 0.100000\n"
        "2021-01-02 03:06:15,123 epoch 2 - iter 10/100 - loss 1.31000000 - samples/sec: 52.20 - lr: 0.050000\n",
        {LOSS: [(10, 2.71), (20, 2.31), (110, 1.31)], RATE: [(10, 0.1), (20, 0.1), (110, 0.05)]},
    ),
    "darknet": Log(
        " 1: 1205.310059, 1205.310059 avg loss, 0.000000 rate, 3.210000 seconds, 64 images\n"
        " 2: 1198.220093, 1204.601074 avg loss, 0.000010 rate, 3.110000 seconds, 128 images\n",
        {RATE: [(1, 0.0), (2, 0.00001)]},
    ),
    "pipe table of a rollout": Log(
        "------------------------------------\n| rollout/                |          |\n|    ep_len_mean          | 21.5     |\n"
        "|    ep_rew_mean          | 21.5     |\n| time/                   |          |\n|    total_timesteps      | 2048     |\n"
        "| train/                  |          |\n|    loss                 | 0.512    |\n------------------------------------\n"
        "------------------------------------\n| rollout/                |          |\n|    ep_len_mean          | 27.1     |\n"
        "|    ep_rew_mean          | 27.1     |\n| time/                   |          |\n|    total_timesteps      | 4096     |\n"
        "| train/                  |          |\n|    loss                 | 0.221    |\n------------------------------------\n",
        {LOSS: [(2048, 0.512), (4096, 0.221)]},
    ),
    "dictionaries": Log(
        "{'loss': 2.5, 'grad_norm': 1.5, 'learning_rate': 5e-05, 'epoch': 0.1, 'step': 10}\n"
        "{'eval_loss': 2.25, 'epoch': 0.1, 'step': 10}\n",
        {LOSS: [(10, 2.5)], EVAL: [(10, 2.25)], RATE: [(10, 5e-5)]},
    ),
    "dictionaries that a web page curled": Log(
        "{\u2018loss\u2019: 2.5, \u2018learning_rate\u2019: 5e-05, \u2018step\u2019: 10}\n", {LOSS: [(10, 2.5)], RATE: [(10, 5e-5)]}
    ),
    "minimind": Log(
        "Epoch:[1/2](0/1000), loss:8.90, lr:0.00050, epoch_Time:30.0min:\n"
        "Epoch:[1/2](100/1000), loss:6.20, lr:0.00050, epoch_Time:12.0min:\n"
        "Epoch:[2/2](100/1000), loss:3.10, lr:0.00030, epoch_Time:12.0min:\n",
        {LOSS: [(0, 8.9), (100, 6.2), (1100, 3.1)], RATE: [(0, 5e-4), (100, 5e-4), (1100, 3e-4)]},
    ),
    "MXNet, accuracies only": Log(
        "INFO:root:Epoch[0] Batch [20]\tSpeed: 100.0 samples/sec\taccuracy=0.10\n"
        "INFO:root:Epoch[0] Batch [40]\tSpeed: 100.0 samples/sec\taccuracy=0.20\n"
        "INFO:root:Epoch[1] Batch [20]\tSpeed: 100.0 samples/sec\taccuracy=0.30\n"
        "INFO:root:Epoch[1] Batch [40]\tSpeed: 100.0 samples/sec\taccuracy=0.40\n",
        {"train/accuracy": [(20, 0.1), (40, 0.2), (60, 0.3), (80, 0.4)]},
    ),
    "PaddlePaddle": Log(
        "[2022-01-02 03:04:05] [INFO] global step 10, epoch: 0, batch: 9, loss: 5.6012, accu: 0.1, speed: 1.2 step/s\n"
        "[2022-01-02 03:04:15] [INFO] global step 20, epoch: 0, batch: 19, loss: 5.1012, accu: 0.2, speed: 1.2 step/s\n",
        {LOSS: [(10, 5.6012), (20, 5.1012)]},
    ),
}  # fmt: skip


def load(folder: Path, text: str) -> la.Run:
    path = folder / "train.log"
    path.write_text(text, encoding="utf-8")
    return la.load(path)


@pytest.mark.parametrize("name", LOGS)
def test_the_curves_of_a_log(tmp_path: Path, name: str) -> None:
    log = LOGS[name]
    run = load(tmp_path, log.text)
    for metric, curve in log.curves.items():
        series = run.series(metric)
        assert series.step.tolist() == [step for step, _ in curve], metric
        np.testing.assert_allclose(series.value, [value for _, value in curve], err_msg=metric)


NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False, width=32).map(lambda x: f"{x:.6g}"),
    st.floats(0, 100).map(lambda x: f"{x:.4f}"),
    st.floats(1e-12, 1e-3).map(lambda x: f"{x:.2e}"),
    st.integers(0, 10**9).map(str),
    st.sampled_from(["nan", "inf", "-inf", "NaN", "0", "0.0", ".5", "5."]),
)
FORMS = (
    "step {i} loss={} lr={}",
    "step {i}/1000 | loss: {} | grad_norm: {}",
    "{{'loss': {}, 'grad_norm': {}, 'step': {i}}}",
    '{{"step": {i}, "loss": {}, "lr": {}}}',
    "Epoch: [0][{i}/5005] Time 0.5 (0.6) Loss {} ({})",
    "2024-01-02 03:04:05,123 INFO iter {i}: loss {}, lr {}",
    "[rank0]: step: {i}  loss:  {}  grad_norm:  {}  tps: 1,341",
    " 12%|#2    | {i}/1000 [00:01<00:09,  5.0it/s, loss={}, acc={}]",
    "Resuming from checkpoint-{i}",
    "a word about nothing, {} times of {}",
    "val_loss: {} step: {i} accuracy: {}",
)
LINES = st.tuples(st.sampled_from(FORMS), NUMBERS, NUMBERS)


def rows(folder: Path, text: str, shapes: int) -> pd.DataFrame:
    path = folder / "train.log"
    path.write_text(text, encoding="utf-8")
    with mock.patch.object(text_reader, "MOST_SHAPES", shapes):
        (table,) = stdout.read(path, folder)
    return table.frame


@given(lines=st.lists(LINES, min_size=1, max_size=40))
def test_lines_read_by_their_shape_are_read_as_by_themselves(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[str, str, str]]
) -> None:
    text = "".join(
        f"{form.format(one, other, i=i)}\n" for i, (form, one, other) in enumerate(lines)
    )
    folder = tmp_path_factory.mktemp("log")
    at_once, one_by_one = (rows(folder, text, shapes) for shapes in (256, 0))
    pd.testing.assert_frame_equal(at_once, one_by_one)
