"""Healthy runs that look odd to whoever has only thresholds; each function returns the log."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tests.classics.printed import keras, pairs, trainer


def _noise(seed: int, n: int, scale: float) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, scale, n)


def digits_example() -> str:
    noise = _noise(1, 4000, 1.0)
    lines = []
    for epoch in range(1, 5):
        for batch in range(0, 938, 10):
            seen = (epoch - 1) * 938 + batch
            loss = abs(2.3 * math.exp(-seen / 120) + 0.15 / epoch + noise[seen] * 0.08 / epoch)
            lines.append(
                f"Train Epoch: {epoch} [{batch * 64}/60000 ({100 * batch / 938:.0f}%)]\tLoss: {loss:.6f}\n"
            )
        lines.append(
            f"\nTest set: Average loss: {0.08 / epoch + 0.02:.4f}, Accuracy: {9750 + 50 * epoch}/10000 (98%)\n\n"
        )
    return "".join(lines)


def language_model_from_scratch() -> str:
    noise = _noise(2, 6000, 0.06)
    lines = []
    for i in range(0, 5001, 10):
        level = 7.6 * math.exp(-i / 250) + 1.2 * math.exp(-i / 2000) + 2.9
        if i % 250 == 0:
            lines.append(f"step {i}: train loss {level:.4f}, val loss {level + 0.03:.4f}\n")
        lines.append(
            f"iter {i}: loss {level + noise[i]:.4f}, time {251 + 40 * noise[i]:.2f}ms, mfu 31.20%\n"
        )
    return "".join(lines)


def one_spike_that_heals() -> str:
    noise = _noise(3, 6000, 0.02)
    lines = []
    for i in range(10, 6000, 10):
        loss = 2.2 + 8 * math.exp(-i / 400) + noise[i]
        loss += 1.5 * math.exp(-(i - 3000) / 20) if 3000 <= i < 3100 else 0.0
        lines.append(
            f" iteration {i:8d}/    6000 | consumed samples: {i * 256:12d} | elapsed time per iteration (ms): "
            f"{5400 + 900 * noise[i]:.1f} | learning rate: {3e-4 * (1 - i / 7000):.3E} | global batch size:   256 | "
            f"lm loss: {loss:.6E} | loss scale: 1.0 | grad norm: {0.4 + abs(noise[i]):.3f} | "
            "number of skipped iterations:   0 | number of nan iterations:   0 |\n"
        )
    return "".join(lines)


def staircase_of_a_step_schedule() -> str:
    noise = _noise(4, 100, 0.015)
    lines = []
    for e in range(90):
        lr = 0.1 * 0.1 ** (e // 30)
        level = (2.1 + 4.6 * math.exp(-e / 4), 1.25, 1.02)[e // 30]
        acc = 100 * (1 - level / 7)
        lines.append(
            f"Epoch: [{e}] lr {lr:.4g} train_loss {level + noise[e]:.4f} train_acc {acc:.2f} "
            f"val_loss {level + 0.05 - noise[e]:.4f} val_acc {acc + 3:.2f}\n"
        )
    return "".join(lines)


def warm_restarts() -> str:
    noise = _noise(5, 3000, 0.02)
    rows = []
    for s in range(0, 3000, 5):
        phase = (s % 1000) / 1000
        lr = 0.5 * 3e-3 * (1 + math.cos(math.pi * phase))
        loss = 0.5 + 1.8 * math.exp(-s / 500) + 0.35 * (lr / 3e-3) + noise[s]
        rows.append({"step": s, "loss": f"{loss:.4f}", "lr": f"{lr:.3e}"})
    return pairs(rows)


def one_cycle() -> str:
    noise = _noise(6, 2000, 0.03)
    rows = []
    for s in range(0, 2000, 5):
        lr = 1e-2 * (0.04 + 0.96 * min(s / 600, (2000 - s) / 1400))
        loss = 2.3 * math.exp(-s / 300) + 0.25 + 0.3 * lr / 1e-2 + noise[s]
        rows.append(
            {
                "step": s,
                "loss": f"{loss:.4f}",
                "lr": f"{lr:.4e}",
                "grad_norm": f"{0.9 + abs(noise[s]):.3f}",
            }
        )
    return pairs(rows)


def classifier_from_a_pretrained_model() -> str:
    noise = _noise(7, 50, 0.02)
    rows = []
    for s in range(50, 2001, 50):
        rows.append({"loss": round(0.55 * math.exp(-s / 500) + 0.15 + noise[s // 50 - 1], 4), "grad_norm": round(5 + 90 * noise[s // 50 - 1], 2),
                     "learning_rate": 2e-5 * (1 - s / 2000), "epoch": round(s / 667, 2)})  # fmt: skip
        if s in {650, 1350, 2000}:
            rows.append({"eval_loss": 0.31 - s / 50000, "eval_accuracy": 0.885 + s / 60000, "eval_runtime": 12.1,
                         "eval_samples_per_second": 320.1, "epoch": float(round(s / 667))})  # fmt: skip
    rows.append({"train_runtime": 812.2, "train_loss": 0.29, "epoch": 3.0})
    return trainer(rows)


def instructions_for_one_pass() -> str:
    """The loss of a good model hardly moves: it was good before."""
    noise = _noise(8, 200, 0.05)
    rows = [
        {"loss": round(0.98 + 0.25 * math.exp(-s / 30) + noise[s], 4), "grad_norm": round(0.6 + abs(noise[s]), 3),
         "learning_rate": 2e-5 * min(1, (s + 1) / 6) * (0.5 + 0.5 * math.cos(math.pi * s / 200)), "epoch": round((s + 1) / 200, 3)}
        for s in range(200)
    ]  # fmt: skip
    rows.append({"train_runtime": 3312.0, "train_loss": 1.01, "epoch": 1.0})
    return trainer(rows)


def pretraining_clipped_at_one() -> str:
    """Half of the steps are clipped, as in many large runs."""
    noise = _noise(9, 2000, 0.03)
    rows = [
        {"step": s, "loss": f"{2.6 + 8 * math.exp(-s / 200) + noise[s]:.4f}", "grad_norm": f"{1.0 + 9 * noise[s] if s > 100 else 3 + noise[s]:.3f}",
         "lr": f"{6e-4 * min(1, s / 100):.3e}"}
        for s in range(0, 2000, 2)
    ]  # fmt: skip
    return "max_grad_norm=1.0\nvocab_size=50257\n" + pairs(rows)


def adversaries() -> str:
    noise = _noise(10, 4000, 0.25)
    rows = [
        {
            "step": s,
            "loss_d": f"{1.1 + noise[s]:.4f}",
            "loss_g": f"{1.4 + 0.4 * math.sin(s / 90) + 1.5 * abs(noise[s]):.4f}",
        }
        for s in range(0, 4000, 10)
    ]
    return pairs(rows)


def critic_of_a_wasserstein_game() -> str:
    noise = _noise(11, 4000, 0.4)
    rows = [
        {
            "step": s,
            "loss_critic": f"{-9 * math.exp(-s / 900) - 1 + noise[s]:.4f}",
            "loss_gen": f"{3 * math.sin(s / 300) + noise[-s - 1]:.4f}",
        }
        for s in range(0, 4000, 10)
    ]
    return pairs(rows)


def policy_that_learns() -> str:
    noise = _noise(12, 400, 0.04)
    rows = [
        {"update": s, "policy_loss": f"{-0.01 + noise[s] / 8:.4f}", "value_loss": f"{0.4 + 0.8 * s / 400 + abs(noise[s]):.4f}",
         "entropy": f"{1.38 * math.exp(-s / 300):.4f}", "approx_kl": f"{0.008 + abs(noise[s]) / 10:.4f}", "mean_reward": f"{200 * (1 - math.exp(-s / 120)) + 90 * noise[s]:.2f}"}
        for s in range(400)
    ]  # fmt: skip
    return pairs(rows)


def contrast_over_large_batches() -> str:
    noise = _noise(13, 2000, 0.03)
    rows = [
        {
            "step": s,
            "contrastive_loss": f"{math.log(512) - 1.6 * (1 - math.exp(-s / 700)) + noise[s]:.4f}",
            "lr": f"{3e-4 * (1 - s / 2200):.3e}",
        }
        for s in range(0, 2000, 5)
    ]
    return "batch_size=512\ntemperature=0.1\n" + pairs(rows)


def denoising() -> str:
    """The loss of a diffusion model is nearly all noise, and it is fine."""
    rng = np.random.default_rng(14)
    rows = [
        {
            "step": s,
            "loss": f"{(0.05 + 0.9 * math.exp(-s / 60)) * rng.lognormal(0, 0.7):.5f}",
            "lr": "1.00e-04",
        }
        for s in range(0, 4000, 4)
    ]
    return "train_diffusion.py --resolution 64\n" + pairs(rows)


def autoencoder_with_a_prior() -> str:
    noise = _noise(15, 60, 0.3)
    return "".join(
        f"====> Epoch: {e} Average loss: {105 + 60 * math.exp(-e / 3) + noise[e]:.4f} recon: {80 + 75 * math.exp(-e / 3):.3f} kld: {25 - 15 * math.exp(-e / 3):.3f}\n"
        f"====> Test set loss: {106 + 58 * math.exp(-e / 3):.4f}\n"
        for e in range(1, 51)
    )


def speech_with_ctc() -> str:
    noise = _noise(16, 600, 0.02)
    rows = [
        {"step": s, "loss": f"{(620 * math.exp(-s / 400) + 48) * (1 + 4 * noise[s // 10]):.2f}", "grad_norm": f"{180 + 2000 * abs(noise[s // 10]):.1f}", "lr": f"{min(1, s / 500) * 1e-3:.3e}"}
        for s in range(0, 6000, 10)
    ]  # fmt: skip
    return "ctc_weight: 0.3\naccum_grad: 1\n" + pairs(rows)


def detector_in_the_field() -> str:
    noise = _noise(17, 1000, 0.05)
    return "".join(
        f"[05/01 12:{i // 60 % 60:02d}:{i % 60:02d} d2.utils.events]:  eta: 2:11:08  iter: {i * 20 + 19}  total_loss: {0.9 + 2.2 * math.exp(-i / 60) + noise[i]:.4f}  "
        f"loss_cls: {0.25 + 1.2 * math.exp(-i / 40) + abs(noise[i]) / 4:.4f}  loss_box_reg: {0.35 + 0.2 * math.exp(-i / 90):.4f}  loss_rpn_cls: {0.03 + 0.6 * math.exp(-i / 30):.4f}  "
        f"loss_rpn_loc: {0.27 + 0.2 * math.exp(-i / 40):.4f}  time: {0.41 + abs(noise[i]) / 20:.4f}  data_time: 0.0081  lr: {min(1, (i * 20 + 20) / 1000) * 0.02:.5g}  max_mem: 5411M\n"
        for i in range(450)
    )


def translation_with_perplexity() -> str:
    lines = []
    for e in range(1, 31):
        loss = 3.9 + 7 * math.exp(-e / 3)
        lines.append(
            f"2024-01-01 00:{e:02d}:00 | INFO | train | epoch {e:03d} | loss {loss:.3f} | nll_loss {loss - 1.4:.3f} | ppl {2 ** (loss - 1.4):.2f} | wps 21000 | ups 5.2 | "
            f"wpb 3900 | bsz 120 | num_updates {e * 1100} | lr {5e-4 * min(1, e * 1100 / 4000) * (4000 / max(4000, e * 1100)) ** 0.5:.6g} | gnorm {0.8 + 2 / e:.3f} | clip 0 | train_wall 212 | wall {e * 220}\n"
            f"2024-01-01 00:{e:02d}:30 | INFO | valid | epoch {e:03d} | valid on 'valid' subset | loss {loss + 0.15:.3f} | nll_loss {loss - 1.3:.3f} | ppl {2 ** (loss - 1.3):.2f} | num_updates {e * 1100}\n"
        )
    return "".join(lines)


def many_labels_at_once() -> str:
    noise = _noise(18, 400, 0.004)
    rows = [
        {
            "step": s,
            "bce_loss": f"{0.693 * math.exp(-s / 60) + 0.06 * (1 - math.exp(-s / 60)) + noise[s]:.4f}",
            "lr": "1.00e-03",
        }
        for s in range(400)
    ]
    return pairs(rows)


def heavy_dropout() -> str:
    noise = _noise(19, 40, 0.01)
    rows = [
        (
            1.2 * math.exp(-e / 8) + 0.75 + noise[e],
            0.7 - 0.4 * math.exp(-e / 8),
            1.1 * math.exp(-e / 8) + 0.42 - noise[e],
            0.86 - 0.4 * math.exp(-e / 8),
        )
        for e in range(40)
    ]
    return "dropout=0.6\n" + keras(rows, 40, ("loss", "accuracy", "val_loss", "val_accuracy"))


def rate_lowered_on_plateaus() -> str:
    noise = _noise(20, 60, 0.012)
    lines = []
    lr = 1e-3
    for e in range(60):
        if e in {25, 40, 52}:
            lr *= 0.1
            lines.append(f"Epoch {e}: ReduceLROnPlateau reducing learning rate to {lr:.1e}.\n")
        lines.append(
            f"Epoch {e} train_loss {0.3 + 1.5 * math.exp(-e / 6) - 0.04 * (e >= 25) + noise[e]:.4f} "
            f"val_loss {0.36 + 1.45 * math.exp(-e / 6) - 0.03 * (e >= 25) - noise[e]:.4f} lr {lr:.1e}\n"
        )
    return "".join(lines) + "Early stopping at epoch 60\n"


def houses() -> str:
    noise = _noise(21, 200, 0.05)
    rows = [
        (4e10 * math.exp(-e / 15) * (1 + noise[e]) + 1.1e9 * (1 + noise[e]), 1.6e5 * math.exp(-e / 30) + 2.4e4,
         4e10 * math.exp(-e / 15) * (1 + noise[-e - 1]) + 1.3e9 * (1 + noise[-e - 1]), 1.6e5 * math.exp(-e / 30) + 2.5e4)
        for e in range(100)
    ]  # fmt: skip
    return keras(rows, 100, ("loss", "mae", "val_loss", "val_mae"))


def noisy_small_batches() -> str:
    rng = np.random.default_rng(22)
    rows = [
        {
            "step": s,
            "loss": f"{(0.7 + 1.8 * math.exp(-s / 900)) * rng.lognormal(0, 0.45):.4f}",
            "lr": f"{1e-3 * (1 - s / 6000):.3e}",
        }
        for s in range(5900)
    ]
    return "batch_size=2\n" + pairs(rows)


def preferences() -> str:
    noise = _noise(23, 300, 0.03)
    rows = [
        {"loss": round(0.6931 * math.exp(-s / 250) + 0.28 * (1 - math.exp(-s / 250)) + noise[s] * min(1, s / 20), 4), "grad_norm": round(4 + 20 * abs(noise[s]), 2),
         "learning_rate": 5e-7 * min(1, (s + 1) / 30), "rewards/chosen": round(0.2 * (1 - math.exp(-s / 100)), 4), "rewards/rejected": round(-1.4 * (1 - math.exp(-s / 100)), 4),
         "rewards/accuracies": round(0.5 + 0.3 * (1 - math.exp(-s / 60)), 3), "rewards/margins": round(1.6 * (1 - math.exp(-s / 100)), 4), "epoch": round((s + 1) / 300, 3)}
        for s in range(300)
    ]  # fmt: skip
    return trainer(rows)


def group_rewards() -> str:
    """A loss that starts at 0 and grows is what this method logs."""
    noise = _noise(24, 200, 0.004)
    rows = [
        {"loss": round(max(0.0, 0.0004 * s / 10 + noise[s] / 10), 4), "grad_norm": round(0.3 + abs(noise[s]) * 20, 3), "learning_rate": 1e-6,
         "reward": round(0.3 + 0.5 * (1 - math.exp(-s / 80)) + 8 * noise[s], 4), "reward_std": round(0.31 - 0.1 * s / 200, 4),
         "kl": round(0.0004 * s, 5), "completion_length": round(210 + s * 0.3, 1), "epoch": round((s + 1) / 200, 3)}
        for s in range(200)
    ]  # fmt: skip
    return trainer(rows)


def five_epochs() -> str:
    rows = [
        (1.61, 0.41, 1.28, 0.54),
        (1.22, 0.56, 1.09, 0.61),
        (1.05, 0.63, 1.01, 0.645),
        (0.94, 0.67, 0.97, 0.66),
        (0.86, 0.70, 0.95, 0.67),
    ]
    return keras(rows, 5, ("loss", "accuracy", "val_loss", "val_accuracy"))


def resumed_cleanly() -> str:
    noise = _noise(25, 2000, 0.02)
    lines = [
        f"step {s} loss {3 * math.exp(-s / 300) + 0.8 + noise[s]:.4f} lr 3.00e-04\n"
        for s in range(0, 1000, 5)
    ]
    lines.append("Resuming from checkpoint ckpt/step_1000.pt\n")
    lines += [
        f"step {s} loss {3 * math.exp(-s / 300) + 0.8 + noise[s]:.4f} lr 3.00e-04\n"
        for s in range(1000, 2000, 5)
    ]
    return "".join(lines)


def scaler_finds_its_scale() -> str:
    lines = []
    for s in range(1, 200):
        if s <= 5:
            lines.append(
                f"Gradient overflow.  Skipping step, loss scaler 0 reducing loss scale to {65536 / 2**s:.1f}\n"
            )
        lines.append(f"step {s} loss {3 * math.exp(-s / 60) + 1:.4f} lr 1.00e-04\n")
    return "".join(lines)


def warmup_decay_of_a_large_run() -> str:
    noise = _noise(26, 1000, 0.015)
    rows = []
    for s in range(10, 10001, 10):
        lr = 3e-4 * (s / 500 if s < 500 else 1.0 if s < 8000 else (10000 - s) / 2000)
        rows.append({"step": s, "loss": f"{2.1 + 8.5 * math.exp(-s / 350) + 0.9 * math.exp(-s / 4000) - 0.08 * max(0, (s - 8000) / 2000) + noise[s // 10 - 1]:.4f}",
                     "grad_norm": f"{0.35 + 2 * math.exp(-s / 200) + abs(noise[s // 10 - 1]):.3f}", "lr": f"{lr:.3e}"})  # fmt: skip
    return "max_steps=10000\nvocab_size=32000\n" + pairs(rows)


HEALTHY: dict[str, Callable[[], str]] = {
    make.__name__: make
    for make in (
        digits_example, language_model_from_scratch, one_spike_that_heals, staircase_of_a_step_schedule,
        warm_restarts, one_cycle, classifier_from_a_pretrained_model, instructions_for_one_pass,
        pretraining_clipped_at_one, adversaries, critic_of_a_wasserstein_game, policy_that_learns,
        contrast_over_large_batches, denoising, autoencoder_with_a_prior, speech_with_ctc, detector_in_the_field,
        translation_with_perplexity, many_labels_at_once, heavy_dropout, rate_lowered_on_plateaus, houses,
        noisy_small_batches, preferences, group_rewards, five_epochs, resumed_cleanly, scaler_finds_its_scale,
        warmup_decay_of_a_large_run,
    )
}  # fmt: skip
