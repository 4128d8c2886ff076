"""Which settings act through which causes, so that a changed one can be named beside a changed finding.

The causes are those of `loganalyze.causes`; what each names as its fix, and as what speaks for it, says which
settings it is about.
"""

from __future__ import annotations

from collections.abc import Mapping

# Cause -> settings by their name here, and which way leads to it: 1 a larger value, -1 a smaller
# one, 0 any change.
LEVERS: Mapping[str, Mapping[str, int]] = {
    "lr-too-high": {"learning_rate": 1, "warmup_ratio": -1, "warmup_steps": -1, "effective_batch_size": -1,
                    "train_batch_size": -1, "optimizer": 0, "max_grad_norm": 0},
    "lr-too-low": {"learning_rate": -1, "effective_batch_size": 1, "train_batch_size": 1, "optimizer": 0,
                   "lr_scheduler_type": 0},
    "warmup-too-short": {"warmup_ratio": -1, "warmup_steps": -1, "learning_rate": 1},
    "warmup-too-long": {"warmup_ratio": 1, "warmup_steps": 1, "max_steps": -1},
    "no-grad-clipping": {"max_grad_norm": 0},
    "clip-threshold-too-low": {"max_grad_norm": -1},
    "scheduler-misconfigured": {"lr_scheduler_type": 0, "max_steps": 0, "num_train_epochs": 0,
                                "warmup_steps": 0, "warmup_ratio": 0, "resume_from_checkpoint": 0},
    "optimizer-hyperparameters": {"optimizer": 0, "weight_decay": 0, "betas": 0, "adam_beta1": 0,
                                  "adam_beta2": 0, "beta1": 0, "beta2": 0, "adam_epsilon": 0, "eps": 0,
                                  "momentum": 0},
    "fp16-overflow": {"fp16": 0, "bf16": 0, "mixed_precision": 0},
    "low-precision-instability": {"fp16": 0, "bf16": 0, "mixed_precision": 0},
    "outlier-batch": {"train_batch_size": -1, "effective_batch_size": -1, "max_grad_norm": 0},
    "nan-in-data": {"dataset": 0, "train_file": 0},
    "labels-wrong": {"dataset": 0, "train_file": 0},
    "labels-all-masked": {"max_seq_length": -1, "dataset": 0},
    "label-out-of-range": {"num_classes": -1, "vocab_size": -1, "dataset": 0},
    "data-not-shuffled": {"shuffle": 0, "dataset": 0},
    "data-leak": {"dataset": 0, "train_file": 0, "train_samples": 0},
    "inputs-not-normalized": {"normalize": 0, "dataset": 0},
    "pad-or-mask-bug": {"max_seq_length": 0, "tokenizer": 0},
    "tokenizer-mismatch": {"tokenizer": 0, "vocab_size": 0, "model": 0},
    "overfit-small-data": {"num_train_epochs": 1, "max_steps": 1, "train_samples": -1, "weight_decay": -1,
                           "dropout": -1, "learning_rate": 1, "model": 0, "num_parameters": 1},
    "epoch-memorization": {"num_train_epochs": 1, "max_steps": 1, "train_samples": -1, "num_parameters": 1},
    "eval-mismatch": {"dataset": 0, "eval_file": 0},
    "frozen-parameters": {"trainable_parameters": -1, "freeze": 0},
    "head-init-scale": {"model": 0, "num_classes": 0, "init_std": 1, "initializer_range": 1},
    "vanishing-gradients": {"model": 0, "num_layers": 1, "activation": 0},
    "wrong-loss-function": {"loss": 0, "label_smoothing_factor": 0},
    "num-labels-mismatch": {"num_classes": 0, "vocab_size": 0},
    "loss-not-normalized": {"gradient_accumulation_steps": 1, "transformers_version": 0, "loss": 0},
    "rl-zero-advantage": {"num_generations": -1, "temperature": -1},
    "rl-kl-explosion": {"learning_rate": 1, "beta": -1, "kl_coef": -1},
    "resume-state-lost": {"resume_from_checkpoint": 0},
    "batch-too-large": {"train_batch_size": 1, "max_seq_length": 1, "gradient_checkpointing": 0},
    "sequence-too-long": {"max_seq_length": 1},
    "eval-accumulates-logits": {"eval_batch_size": 1, "eval_accumulation_steps": 0},
    "host-memory-exhausted": {"num_workers": 1, "dataloader_num_workers": 1},
    "dataloader-bottleneck": {"num_workers": -1, "dataloader_num_workers": -1, "pin_memory": 0},
    "communication-timeout": {"world_size": 1},
}  # fmt: skip

# Settings that move a curve without any finding, the most powerful first.
CURVES = (
    "learning_rate", "optimizer", "effective_batch_size", "train_batch_size", "gradient_accumulation_steps",
    "lr_scheduler_type", "warmup_ratio", "warmup_steps", "loss", "num_classes", "vocab_size", "model",
    "model_type", "dataset", "train_samples", "trainable_parameters", "num_parameters", "freeze",
    "mixed_precision", "fp16", "bf16", "max_grad_norm", "label_smoothing_factor", "dropout", "weight_decay",
    "betas", "adam_beta1", "adam_beta2", "adam_epsilon", "eps", "momentum", "max_steps", "num_train_epochs",
    "max_seq_length", "world_size", "shuffle", "tokenizer", "resume_from_checkpoint", "seed",
)  # fmt: skip
