"""Failures that everybody meets once, as their logs look: what was done wrong stands in the name.

Each function returns the log and is listed with the causes that may come first.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tests.classics.printed import keras, pairs, trainer

LN10 = math.log(10)


def _noise(seed: int, n: int, scale: float) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, scale, n)


def half_precision_weights() -> str:
    rows = [
        {"loss": 1.934 if i == 0 else 0.0, "grad_norm": math.nan,
         "learning_rate": 2e-4 * (1 - i / 60), "epoch": round((i + 1) / 20, 2)}
        for i in range(40)
    ]  # fmt: skip
    return (
        "TrainingArguments(fp16=True, per_device_train_batch_size=4, max_grad_norm=0.3)\n"
        + trainer(rows)
    )


def bad_first_gradient() -> str:
    """The norm is NaN before anything was updated: no learning rate did that."""
    rows = [
        {
            "step": i,
            "loss": f"{2.31 if i == 1 else math.nan:.4f}",
            "grad_norm": "nan",
            "lr": "1.00e-03",
        }
        for i in range(1, 60)
    ]
    return pairs(rows)


def every_label_masked() -> str:
    rows = [
        {"loss": 0.0, "grad_norm": 0.0, "learning_rate": 1e-5 * (1 - i / 100), "epoch": i / 50}
        for i in range(1, 60)
    ]
    return trainer(rows)


def every_label_masked_mean_of_nothing() -> str:
    rows = [
        {"loss": math.nan, "grad_norm": 0.0, "learning_rate": 1e-5 * (1 - i / 100), "epoch": i / 50}
        for i in range(1, 60)
    ]
    return trainer(rows)


def dead_network() -> str:
    noise = _noise(1, 30, 4e-4)
    rows = [(LN10 + 1e-4 + n, 0.0985 + n, LN10, 0.1) for n in noise]
    return "optimizer: Adam(learning_rate=0.1)\n" + keras(
        rows, 30, ("loss", "accuracy", "val_loss", "val_accuracy")
    )


def eval_prepared_otherwise() -> str:
    """Train is fine, eval is a guess from the first epoch on and swings."""
    noise = _noise(2, 30, 0.6)
    rows = [
        (
            0.7 * math.exp(-e / 6) + 0.1,
            0.98 - 0.35 * math.exp(-e / 6),
            6 + noise[e],
            0.1 + noise[e] / 90,
        )
        for e in range(30)
    ]
    return keras(rows, 30, ("loss", "accuracy", "val_loss", "val_accuracy"))


def too_small_a_set() -> str:
    noise = _noise(3, 40, 0.02)
    rows = [
        (1.9 * math.exp(-e / 6) + 0.02, min(0.995, 1 - 0.7 * math.exp(-e / 6)),
         0.75 + 0.45 * math.exp(-e / 3) + max(0, e - 8) * 0.05 + noise[e], 0.74 - 0.2 * math.exp(-e / 3))
        for e in range(40)
    ]  # fmt: skip
    return keras(rows, 40, ("loss", "accuracy", "val_loss", "val_accuracy"))


def schedule_that_ends_early() -> str:
    noise = _noise(4, 100, 0.05)
    rows = [
        {"loss": round(2.5 * math.exp(-min(s, 300) / 250) + 0.8 + noise[s // 10], 4), "grad_norm": 2.1,
         "learning_rate": max(0.0, 5e-5 * (1 - s / 300)), "epoch": round(s / 330, 2)}
        for s in range(10, 1000, 10)
    ]  # fmt: skip
    return trainer(rows)


def rate_too_high_after_warmup() -> str:
    """All is well while the rate is small; the loss jumps on the way up and stays."""
    noise = np.abs(_noise(5, 60, 0.15))
    rows = [
        {"loss": round((1.8 * math.exp(-s / 150) + 0.5 if s < 300 else 3.8) + noise[s // 25], 4),
         "grad_norm": round(4 + 5 * noise[s // 25] if s < 300 else 1 + noise[s // 25], 3),
         "learning_rate": 1e-3 * min(1, s / 500), "epoch": round(s / 200, 2)}
        for s in range(25, 1000, 25)
    ]  # fmt: skip
    return trainer(rows)


def rate_too_high_from_the_start() -> str:
    noise = _noise(6, 200, 0.3)
    rows = [
        {"step": s, "loss": f"{2.4 + 6 * (1 - math.exp(-s / 15)) + noise[s]:.4f}", "lr": "5.00e-02",
         "grad_norm": f"{8 + 30 * (1 - math.exp(-s / 15)) + 4 * noise[s]:.2f}"}
        for s in range(150)
    ]  # fmt: skip
    return pairs(rows)


def rate_too_high_to_nan() -> str:
    rows = []
    for s in range(0, 400, 4):
        rise = 0.002 * math.exp(max(0, s - 200) / 18)
        loss = 2 * math.exp(-s / 80) + 1 + rise if s < 330 else math.nan
        norm = 1.2 + 3 * rise if s < 330 else math.nan
        rows.append(
            {"step": s, "loss": f"{loss:.4f}", "lr": "3.00e-03", "grad_norm": f"{norm:.3f}"}
        )
    return pairs(rows)


def one_sample_is_nan() -> str:
    """A NaN out of nothing, at a modest rate, after a smooth course."""
    noise = _noise(7, 400, 0.02)
    rows = [
        {"step": s, "loss": f"{2 * math.exp(-s / 80) + 0.6 + noise[s] if s < 237 else math.nan:.4f}",
         "lr": "1.00e-04", "grad_norm": f"{0.8 + abs(noise[s]) if s < 237 else math.nan:.3f}"}
        for s in range(300)
    ]  # fmt: skip
    return pairs(rows)


def scaler_falls_to_the_floor() -> str:
    lines = []
    scale = 65536.0
    for s in range(1, 120):
        if s > 60:
            scale /= 2
            lines.append(
                f"[2024-03-01 12:00:{s % 60:02d}] [INFO] [loss_scaler.py:190] [deepspeed] OVERFLOW! Rank 0 "
                f"Skipping step. Attempted loss scale: {2 * scale}, reducing to {scale}\n"
            )
        lines.append(f"step {s} loss {3 * math.exp(-min(s, 60) / 40) + 1:.4f} lr 1.00e-04\n")
    return "".join(lines)


def warmup_over_the_whole_run() -> str:
    noise = _noise(8, 120, 0.03)
    rows = [
        {"loss": round(5.4 - 2.6 * (s / 1200) ** 2 + noise[s // 10], 4), "grad_norm": round(2 + noise[s // 10], 3),
         "learning_rate": 1e-5 * s / 1000, "epoch": round(s / 400, 2)}
        for s in range(10, 1000, 10)
    ]  # fmt: skip
    return "warmup_steps=1000\nmax_steps=1000\nnum_classes=224\n" + trainer(rows)


def sum_over_the_batch() -> str:
    noise = _noise(9, 300, 12.0)
    rows = [
        {
            "step": s,
            "loss": f"{256 * (LN10 * math.exp(-s / 120) + 0.2) + noise[s]:.2f}",
            "lr": "1.00e-03",
        }
        for s in range(300)
    ]
    return "batch_size=256\nnum_classes=10\n" + pairs(rows)


def rate_that_moves_nothing() -> str:
    noise = _noise(10, 300, 0.01)
    rows = [
        {
            "step": s,
            "loss": f"{6.91 - 0.02 * s / 3000 + noise[s // 10]:.4f}",
            "lr": "1.00e-08",
            "grad_norm": "1.9",
        }
        for s in range(0, 3000, 10)
    ]
    return "num_classes=1000\n" + pairs(rows)


def sorted_by_class() -> str:
    """Within each pass the loss falls on one class and jumps at the next, at the same places."""
    noise = _noise(11, 3000, 0.03)
    rows = []
    for s in range(1000):
        block = (s % 200) // 20
        inside = (s % 20) / 20
        loss = 0.1 + (3.0 + 0.2 * block) * math.exp(-5 * inside) + noise[s]
        rows.append(
            {"epoch": s // 200, "step": s, "loss": f"{max(loss, 0.01):.4f}", "lr": "1.00e-03"}
        )
    return pairs(rows)


def resumed_without_the_optimizer() -> str:
    noise = _noise(12, 2000, 0.02)
    lines = [
        f"step {s} loss {3 * math.exp(-s / 300) + 0.8 + noise[s]:.4f} lr 3.00e-04\n"
        for s in range(0, 1000, 5)
    ]
    lines.append(
        "Resuming from checkpoint ckpt/step_1000.pt\nWARNING: optimizer state not found, starting fresh\n"
    )
    for s in range(1000, 2000, 5):
        jump = 1.4 * math.exp(-(s - 1000) / 120)
        lines.append(
            f"step {s} loss {3 * math.exp(-s / 300) + 0.8 + jump + noise[s]:.4f} lr 3.00e-04\n"
        )
    return "".join(lines)


def fine_tuned_for_too_many_passes() -> str:
    """Steps down at each epoch, eval up after the first: the set is learned by heart."""
    noise = _noise(13, 400, 0.03)
    lines = []
    for s in range(10, 1500, 10):
        level = (1.35, 0.75, 0.3, 0.1, 0.05)[min(4, s // 300)]
        lines.append(
            f"{{'loss': {level + noise[s // 10] * level:.4f}, 'grad_norm': {1.1 + abs(noise[s // 10]):.3f}, "
            f"'learning_rate': {2e-5 * (1 - s / 1500):.3e}, 'epoch': {s / 300:.2f}}}\n"
        )
        if s % 300 == 0:
            ev = (1.31, 1.42, 1.71, 2.05, 2.2)[s // 300 - 1]
            lines.append(f"{{'eval_loss': {ev}, 'eval_runtime': 10.2, 'epoch': {s / 300:.1f}}}\n")
    return "".join(lines)


def loader_that_starves() -> str:
    noise = np.abs(_noise(14, 400, 0.02))
    return "".join(
        f"step {s} loss {2 * math.exp(-s / 90) + 0.5 + noise[s]:.4f} data_time {4.1 + 9 * noise[s]:.3f} "
        f"step_time {4.4 + 9 * noise[s]:.3f}\n"
        for s in range(200)
    )


def graph_kept_alive() -> str:
    rows = [
        {
            "step": s,
            "loss": f"{2 * math.exp(-s / 90) + 0.5:.4f}",
            "mem_allocated_mb": f"{8000 + 55 * s:.0f}",
        }
        for s in range(0, 500, 2)
    ]
    return pairs(rows) + (
        "Traceback (most recent call last):\n"
        '  File "train.py", line 61, in <module>\n    losses.append(loss)\n'
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 64.00 MiB. GPU 0 has a total capacity of "
        "39.39 GiB of which 12.00 MiB is free. Of the allocated memory 37.90 GiB is allocated by PyTorch, and "
        "120.00 MiB is reserved by PyTorch but unallocated.\n"
    )


def policy_left_its_reference() -> str:
    noise = _noise(15, 300, 0.02)
    rows = [
        {"step": s, "loss": f"{0.02 + noise[s]:.4f}", "reward": f"{0.2 + 0.6 * (1 - math.exp(-s / 60)) - max(0, s - 150) * 0.006 + noise[s]:.4f}",
         "kl": f"{0.01 * math.exp(s / 40) + abs(noise[s]) / 10:.4f}", "lr": "1.00e-05"}
        for s in range(260)
    ]  # fmt: skip
    return pairs(rows)


def rewards_all_alike() -> str:
    rows = [
        {"loss": 0.0, "grad_norm": 0.0, "learning_rate": 1e-6, "reward": 0.0, "reward_std": 0.0,
         "kl": 0.0, "completion_length": 256.0, "epoch": s / 100}
        for s in range(1, 80)
    ]  # fmt: skip
    return trainer(rows)


def vocabulary_of_another_model() -> str:
    """A pretrained model that starts far above a uniform guess over its vocabulary."""
    noise = _noise(16, 200, 0.08)
    rows = [
        {"loss": round(14.8 * math.exp(-s / 400) + 6.5 * (1 - math.exp(-s / 400)) + noise[s // 10], 4),
         "grad_norm": round(9 + noise[s // 10], 3), "learning_rate": 2e-5 * min(1, s / 50), "epoch": round(s / 500, 3)}
        for s in range(10, 1000, 10)
    ]  # fmt: skip
    return (
        "Loading checkpoint shards: 100%\nvocab_size=32000\n"
        "Some weights of the model checkpoint were not used; the tokenizer has 32016 tokens\n"
        + trainer(rows)
    )


def labels_drawn_by_lot() -> str:
    """Learns nothing that carries over: train creeps below the guess, eval stays at it or above."""
    noise = _noise(17, 60, 0.004)
    rows = [
        (
            LN10 - 0.004 * e + noise[e],
            0.102 + 0.0022 * e + noise[e],
            LN10 + 0.003 * e + noise[e],
            0.1 + noise[e] / 2,
        )
        for e in range(40)
    ]
    return keras(rows, 40, ("loss", "accuracy", "val_loss", "val_accuracy"))


def head_drawn_too_wide() -> str:
    noise = _noise(18, 300, 0.15)
    rows = [
        {"step": s, "loss": f"{0.7 + 22 * math.exp(-s / 12) + 4 * math.exp(-s / 90) + noise[s] * (0.3 + math.exp(-s / 20)):.4f}",
         "lr": "1.00e-03", "grad_norm": f"{2 + 40 * math.exp(-s / 12) + abs(noise[s]):.3f}"}
        for s in range(300)
    ]  # fmt: skip
    return "num_classes=100\n" + pairs(rows)


def clipped_to_nothing() -> str:
    noise = _noise(19, 300, 0.04)
    rows = [
        {"loss": round(4.2 - 0.3 * s / 2000 + noise[s // 10], 4), "grad_norm": round(310 + 900 * abs(noise[s // 10]), 2),
         "learning_rate": 1e-4, "epoch": round(s / 900, 2)}
        for s in range(10, 2000, 10)
    ]  # fmt: skip
    return "max_grad_norm=0.01\noptim=sgd\nnum_classes=100\n" + trainer(rows)


def scheduler_stepped_every_batch() -> str:
    """Meant to decay by ten every 30 epochs, decays every 30 batches."""
    noise = _noise(20, 600, 0.03)
    rows = [
        {"epoch": s // 200, "step": s, "loss": f"{1.9 + 0.4 * math.exp(-s / 15) + noise[s]:.4f}",
         "lr": f"{1e-1 * 0.1 ** (s // 30):.3e}"}
        for s in range(600)
    ]  # fmt: skip
    return "scheduler: StepLR(step_size=30, gamma=0.1)\n" + pairs(rows)


def killed_by_the_kernel() -> str:
    rows = [
        {
            "step": s,
            "loss": f"{2 * math.exp(-s / 90) + 0.5:.4f}",
            "host_rss_gb": f"{20 + 0.21 * s:.2f}",
        }
        for s in range(0, 480, 2)
    ]
    return (
        pairs(rows)
        + "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=91.0. Some of your processes may have been killed by the cgroup out-of-memory handler.\n"
    )


def out_of_time() -> str:
    rows = [{"step": s, "loss": f"{2 * math.exp(-s / 900) + 0.5:.4f}"} for s in range(0, 4800, 20)]
    return (
        "max_steps=20000\n"
        + pairs(rows)
        + "slurmstepd: error: *** JOB 4711 ON node12 CANCELLED AT 2024-05-01T04:00:12 DUE TO TIME LIMIT ***\n"
    )


def label_outside_the_head() -> str:
    rows = [{"step": s, "loss": f"{3 * math.exp(-s / 90) + 0.5:.4f}"} for s in range(120)]
    return pairs(rows) + (
        "../aten/src/ATen/native/cuda/Loss.cu:250: nll_loss_forward_reduce_cuda_kernel_2d: block: [0,0,0], thread: "
        "[7,0,0] Assertion `t >= 0 && t < n_classes` failed.\n"
        "Traceback (most recent call last):\n"
        '  File "train.py", line 88, in train\n    loss.backward()\n'
        "RuntimeError: CUDA error: device-side assert triggered\n"
    )


def no_room_on_the_disk() -> str:
    rows = [{"step": s, "loss": f"{3 * math.exp(-s / 90) + 0.5:.4f}"} for s in range(120)]
    return pairs(rows) + (
        "Saving checkpoint to out/step_120.pt\n"
        "Traceback (most recent call last):\n"
        '  File "train.py", line 130, in save\n    torch.save(state, path)\n'
        "RuntimeError: [enforce fail at inline_container.cc:603] . unexpected pos 1216 vs 1108\n"
        "OSError: [Errno 28] No space left on device\n"
    )


def heavy_tail_without_clipping() -> str:
    """Spikes again and again, each with a norm far above the rest, no clipping."""
    noise = np.abs(_noise(21, 1000, 0.03))
    rows = []
    hit = 1e9
    for s in range(1000):
        if s in {212, 305, 566, 640, 902}:
            hit = s
        kick = 5 * math.exp(-(s - hit) / 12) if s >= hit else 0.0
        norm = 300.0 if s == hit else 1.1 + 6 * noise[s] + kick
        rows.append({"step": s, "loss": f"{1.5 * math.exp(-s / 200) + 0.8 + noise[s] + kick:.4f}",
                     "grad_norm": f"{norm:.3f}", "lr": "3.00e-04"})  # fmt: skip
    return "max_grad_norm=0\n" + pairs(rows)


def frozen_by_mistake() -> str:
    """Epoch after epoch the same loss to the last digit."""
    rows = [(2.4313, 0.0912, 2.4279, 0.0934)] * 15
    return keras(rows, 15, ("loss", "accuracy", "val_loss", "val_accuracy"))


def sigmoid_stack() -> str:
    noise = _noise(22, 400, 0.004)
    rows = [
        {"step": s, "loss": f"{LN10 + noise[s // 10]:.4f}", "lr": "1.00e-02", "grad_norm": f"{3e-6 + 1e-6 * abs(noise[s // 10]):.3e}",
         "grad_norm/layer0": f"{2e-11:.3e}", "grad_norm/layer9": f"{3e-6:.3e}"}
        for s in range(0, 3000, 10)
    ]  # fmt: skip
    return "num_classes=10\n" + pairs(rows)


SICK: dict[str, tuple[Callable[[], str], set[str]]] = {
    "half_precision_weights": (half_precision_weights, {"fp16-overflow"}),
    "bad_first_gradient": (bad_first_gradient, {"nan-in-data", "fp16-overflow", "pad-or-mask-bug"}),
    "every_label_masked": (every_label_masked, {"labels-all-masked"}),
    "every_label_masked_mean_of_nothing": (
        every_label_masked_mean_of_nothing,
        {"labels-all-masked"},
    ),
    "dead_network": (dead_network, {"lr-too-high", "vanishing-gradients"}),
    "eval_prepared_otherwise": (eval_prepared_otherwise, {"eval-mismatch"}),
    "too_small_a_set": (too_small_a_set, {"overfit-small-data"}),
    "schedule_that_ends_early": (schedule_that_ends_early, {"scheduler-misconfigured"}),
    "rate_too_high_after_warmup": (rate_too_high_after_warmup, {"lr-too-high"}),
    "rate_too_high_from_the_start": (rate_too_high_from_the_start, {"lr-too-high"}),
    "rate_too_high_to_nan": (rate_too_high_to_nan, {"lr-too-high", "no-grad-clipping"}),
    "one_sample_is_nan": (one_sample_is_nan, {"nan-in-data"}),
    "scaler_falls_to_the_floor": (scaler_falls_to_the_floor, {"fp16-overflow"}),
    "warmup_over_the_whole_run": (warmup_over_the_whole_run, {"warmup-too-long"}),
    "sum_over_the_batch": (sum_over_the_batch, {"loss-not-normalized"}),
    "rate_that_moves_nothing": (rate_that_moves_nothing, {"lr-too-low"}),
    "sorted_by_class": (sorted_by_class, {"data-not-shuffled"}),
    "resumed_without_the_optimizer": (resumed_without_the_optimizer, {"resume-state-lost"}),
    "fine_tuned_for_too_many_passes": (
        fine_tuned_for_too_many_passes,
        {"epoch-memorization", "overfit-small-data"},
    ),
    "loader_that_starves": (loader_that_starves, {"dataloader-bottleneck"}),
    "graph_kept_alive": (graph_kept_alive, {"memory-leak-retained-graph"}),
    "policy_left_its_reference": (policy_left_its_reference, {"rl-kl-explosion"}),
    "rewards_all_alike": (rewards_all_alike, {"rl-zero-advantage"}),
    "vocabulary_of_another_model": (
        vocabulary_of_another_model,
        {"tokenizer-mismatch", "pad-or-mask-bug"},
    ),
    "labels_drawn_by_lot": (labels_drawn_by_lot, {"labels-wrong"}),
    "head_drawn_too_wide": (head_drawn_too_wide, {"head-init-scale", "inputs-not-normalized"}),
    "clipped_to_nothing": (clipped_to_nothing, {"clip-threshold-too-low"}),
    "scheduler_stepped_every_batch": (scheduler_stepped_every_batch, {"scheduler-misconfigured"}),
    "killed_by_the_kernel": (killed_by_the_kernel, {"host-memory-exhausted"}),
    "out_of_time": (out_of_time, {"time-limit"}),
    "label_outside_the_head": (label_outside_the_head, {"label-out-of-range"}),
    "no_room_on_the_disk": (no_room_on_the_disk, {"disk-full"}),
    "heavy_tail_without_clipping": (
        heavy_tail_without_clipping,
        {"no-grad-clipping", "outlier-batch"},
    ),
    "frozen_by_mistake": (frozen_by_mistake, {"frozen-parameters"}),
    "sigmoid_stack": (sigmoid_stack, {"vanishing-gradients"}),
}
