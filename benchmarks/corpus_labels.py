"""What the curves of other people's runs show, judged by eye.

Keys are words of the run's id. A run that none of them names showed nothing wrong; excerpts (a few rows
that somebody posted because something looked odd) and runs without two losses are not judged.
"""

from __future__ import annotations

# word of the id -> what the curve shows clearly, what may be said of it as well
SHOWN: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "P4P4N1CK__whisper": (("overfit-gap",), ("epoch-sawtooth", "loss-zero", "grad-vanishing")),
    "poludmik__qlora": (
        ("loss-divergence",),
        ("loss-plateau", "loss-at-chance", "warmup-too-short", "loss-repeats"),
    ),
    "QAQdev__FRMiner-Training-Results__stdout": (("overfit-gap",), ("crash", "loss-plateau")),
    "FRMiner-Training-Results/log": ((), ("overfit-gap", "loss-divergence", "loss-plateau")),
    "gucorpling__nner__ace2005": ((), ("overfit-gap", "loss-spike")),
    "gucorpling__nner__gum5": ((), ("overfit-gap",)),
    "AUTOTRAINER__DL_tools": (
        ("overfit-gap",),
        ("corrupt-source", "loss-spike", "loss-oscillation", "epoch-sawtooth", "loss-divergence"),
    ),
    "retinanet_r50_fpn_2x_swx": (
        ("loss-nonfinite",),
        ("loss-divergence", "loss-spike", "grad-nonfinite"),
    ),
    "mechanistic_log_qwen-finetuned-model_": (("loss-zero",), ("grad-zero",)),
    "nanochat__wandb-run-20251015_183235": (
        (),
        ("warmup-too-short", "loss-divergence", "initial-loss-high"),
    ),
    "swav-cifar10__checkpoints_linear": (
        (),
        # Its own meters tell that 2.9 of 4.4 s are spent on data.
        (
            "loss-oscillation",
            "loss-spike",
            "initial-loss-high",
            "warmup-too-short",
            "throughput-drop",
        ),
    ),
    "swav-cifar10__checkpoints~train": (
        (),
        ("loss-plateau", "steps-overlap", "loss-jump-on-resume"),
    ),
    "Checkpoint-of-CPT": ((), ("overfit-gap",)),
    "LaziestCactus__GPTLoRA": ((), ("warmup-too-long", "run-truncated")),
    "llm_recovery/checkpoint-200": ((), ("grad-explosion", "loss-oscillation", "loss-spike")),
    "EM_phase_transition/results": ((), ("epoch-sawtooth", "grad-nonfinite", "grad-explosion")),
    "grpo-verified-reasoner": ((), ("loss-spike", "grad-explosion", "rl-kl-explosion")),
    "MUGC-project/results~checkpoint-8832": ((), ("loss-zero", "grad-vanishing", "grad-zero")),
    "360-LLaMA-Factory-grpo": ((), ("run-truncated",)),
}

NOT_JUDGED = ("issue-excerpt",)


def shown(identifier: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Return what the curve of a run shows clearly and faintly, or None where nobody has judged it."""
    if any(word in identifier for word in NOT_JUDGED):
        return None
    return next((labels for word, labels in SHOWN.items() if word in identifier), ((), ()))
