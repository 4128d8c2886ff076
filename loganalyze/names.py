"""The one table of names: what logs call a metric or a setting -> what it is called here.

`canonical` maps a metric's logged name. A metric that nobody knows keeps its own name.
"""

from __future__ import annotations

import re
from functools import lru_cache

METRIC_ALIASES: dict[str, tuple[str, ...]] = {
    "train/loss": (
        "loss",
        "train_loss",
        "training_loss",
        "tr_loss",
        "lm_loss",
        "total_loss",
        "loss/train",
        "train_loss_step",
        "losses/train",
        "batch_loss",
        "epoch_loss",
        "train/epoch_loss",
        "ce_loss",
        "nll_loss",
        "cross_entropy",
        "train/total_loss",
        "loss_train",
        "avg_loss",
        "average_loss",
        "mean_loss",
        "train/train_loss",
        "trl",
        "train_lm_loss",
        "train/lm_loss",
        "loss/out",
        "cross_entropy_loss",
        "crossentropyloss",
        "xent",
        "logloss",
        "log_loss",
        "mlogloss",
        "binary_logloss",
        "multi_logloss",
        "loss/train/total",
        "train_loss/train/total",
        "step_loss",
        "loss/total_loss",
        "losses/total_loss",
        "losses/total",
        "loss_error",
        "loss_value",
        "train_losses",
        "training_losses",
        "ctc_loss",
    ),
    "eval/loss": (
        "eval_loss",
        "tel",
        "val_loss",
        "valid_loss",
        "validation_loss",
        "test_loss",
        "dev_loss",
        "val/loss",
        "valid/loss",
        "validation/loss",
        "loss/val",
        "loss/valid",
        "loss/eval",
        "loss/validation",
        "dev/loss",
        "test/loss",
        "loss_val",
        "evaluation_loss",
        "eval_lm_loss_value",
        "eval_mean_loss",
        "eval_average_loss",
        "eval_avg_loss",
        "validation/epoch_loss",
        "val/epoch_loss",
        "losses/val",
        "val_loss_epoch",
        "val/loss_epoch",
        "val_losses",
        "valid_losses",
        "validation_losses",
        "test_losses",
    ),
    "train/grad_norm": (
        "grad_norm",
        "gradient_norm",
        "gnorm",
        "grad-norm",
        "total_norm",
        "grad_norm/total",
        "train/gradient_norm",
        "grad_2.0_norm_total",
        "gradnorm",
        "global_grad_norm",
        "train/global_grad_norm",
        "norm",
    ),
    "train/learning_rate": (
        "learning_rate",
        "lr",
        "learning-rate",
        "lr-adam",
        "lr-adamw",
        "lr-sgd",
        "train/lr",
        "lr/group0",
        "lr/pg0",
        "x/lr0",
        "base_lr",
        "lr_0",
        "optimizer/lr",
        "epoch_learning_rate",
        "train/epoch_learning_rate",
    ),
    "train/loss_scale": (
        "loss_scale",
        "loss-scale",
        "train/loss-scale",
        "grad_scale",
        "amp_scale",
        "scale",
    ),
    "train/accuracy": (
        "accuracy",
        "acc",
        "train_accuracy",
        "acc@1",
        "prec@1",
        "acc_1",
        "acc1",
        "top1",
        "top1_acc",
        "train_acc",
        "train/acc",
        "accuracy/train",
        "epoch_accuracy",
        "train/epoch_accuracy",
        "training_accuracy",
        "acc/train",
    ),
    "eval/accuracy": (
        "eval_accuracy",
        "val_accuracy",
        "val_acc",
        "valid_acc",
        "valid_accuracy",
        "validation_accuracy",
        "val/accuracy",
        "val/acc",
        "test_accuracy",
        "test_acc",
        "accuracy/val",
        "validation/epoch_accuracy",
        "eval/acc",
        "dev_acc",
        "acc/val",
    ),
    "perf/samples_per_second": (
        "train_samples_per_second",
        "samples_per_second",
        "samples/s",
        "samples/sec",
        "train/samples_per_second",
        "examples/s",
        "img/s",
        "imgs/s",
        "ips",
    ),
    "perf/tokens_per_second": (
        "tokens_per_second",
        "tokens/s",
        "tok/s",
        "tok/sec",
        "tokens_per_sec",
        "tps",
        "train_tokens_per_second",
        "tokens/sec",
        "throughput/tokens_per_sec",
    ),
    "perf/step_seconds": (
        "step_time",
        "iter_time",
        "time_per_step",
        "sec/step",
        "s/it",
        "batch_time",
        "dt",
        "train/step_time",
        "step_seconds",
        "elapsed_time_per_iteration_(ms)",
        "elapsed_time_per_iteration_(s)",
    ),
    "perf/data_seconds": ("data_time", "train/data_time", "data_seconds"),
    "gpu/memory_allocated": (
        "gpu_mem",
        "max_mem",
        "memory",
        "gpu_memory",
        "memory_allocated",
        "gpu/memory_allocated_gb",
        "mem",
        "gpu/mem_allocated",
        "max_memory_allocated",
        "mem_allocated",
        "gpu_mem_allocated",
        "gpu_memory_allocated",
        "gpu_memory_used",
        "gpu_mem_used",
        "cuda_memory_allocated",
        "cuda_mem",
        "cuda_memory",
        "vram",
        "vram_used",
        "max_memory",
        "peak_memory",
        "max_mem_allocated",
    ),
    "gpu/memory_reserved": (
        "memory_reserved",
        "gpu/memory_reserved_gb",
        "reserved",
        "mem_reserved",
        "gpu_mem_reserved",
        "gpu_memory_reserved",
        "cuda_memory_reserved",
        "max_memory_reserved",
    ),
    "host/memory_rss": (
        "rss",
        "process_rss",
        "host_rss",
        "host_memory",
        "host_mem",
        "host_ram",
        "cpu_mem",
        "cpu_memory",
        "cpu_ram",
        "ram",
        "ram_used",
        "memory_rss",
        "process_memory",
    ),
}

CONFIG_ALIASES: dict[str, tuple[str, ...]] = {
    "learning_rate": ("lr", "max_lr", "base_lr", "peak_lr", "init_lr", "lr0"),
    "num_classes": ("num_labels", "n_classes", "classes", "nc", "n_class", "num_class"),
    "vocab_size": ("n_vocab", "vocabulary_size", "padded_vocab_size"),
    "max_grad_norm": (
        "gradient_clipping",
        "grad_clip",
        "clip_grad",
        "gradient_clip_val",
        "clip_grad_norm",
        "clip_norm",
        "clipnorm",
        "grad_norm_clip",
        "max_norm",
        "gradient_clip",
    ),
    "warmup_ratio": ("warmup_proportion", "warmup_fraction", "warmup_frac"),
    "warmup_steps": (
        "num_warmup_steps",
        "warmup_iters",
        "warmup_iterations",
        "warmup_updates",
        "lr_warmup_iters",
        "warmup_num_steps",
        "n_warmup_steps",
    ),
    "lr_scheduler_type": ("lr_scheduler", "scheduler", "lr_schedule", "lr_decay_style"),
    "max_steps": (
        "total_steps",
        "max_iters",
        "num_training_steps",
        "train_iters",
        "max_iterations",
        "total_iterations",
        "num_iterations",
        "num_train_steps",
        "max_update",
        "train_steps",
        "num_steps",
        "n_steps",
        "max_iter",
        "training.steps",
    ),
    "world_size": ("num_gpus", "n_gpu", "n_gpus", "num_devices", "ngpus", "num_processes"),
    "resume_from_checkpoint": ("resume_from", "resume", "load_checkpoint", "resume_checkpoint"),
    "num_train_epochs": ("epochs", "num_epochs", "max_epochs", "n_epochs", "max_epoch"),
    "gradient_accumulation_steps": (
        "grad_accum",
        "accumulate_grad_batches",
        "grad_accum_steps",
        "accumulation_steps",
        "gradient_accumulation",
        "grad_accumulation_steps",
        "accum_steps",
        "update_freq",
    ),
    "train_batch_size": (
        "per_device_train_batch_size",
        "batch_size",
        "micro_batch_size",
        "bs",
        "device_batch_size",
        "batch",
        "train_micro_batch_size_per_gpu",
        "per_gpu_train_batch_size",
        "local_batch_size",
        "ims_per_batch",
    ),
    "fp16": ("use_fp16", "use_half", "fp16.enabled"),
    "bf16": ("use_bf16", "bfloat16", "bf16.enabled"),
    "mixed_precision": (
        "precision",
        "dtype",
        "torch_dtype",
        "amp_dtype",
        "amp",
        "mixed_precision_param",
    ),
    "logging_steps": (
        "log_interval",
        "log_every",
        "log_every_n_steps",
        "logging_interval",
        "log_freq",
    ),
    "weight_decay": ("wd",),
    "num_parameters": ("total_params", "n_params", "total_parameters", "num_params"),
    "trainable_parameters": ("trainable_params", "num_trainable_parameters", "n_trainable_params"),
    "model_type": (),
    "problem_type": (),
    "task": ("task_type", "task_name", "objective"),
    "loss": ("loss_fn", "criterion", "loss_function", "loss_type"),
    "label_smoothing_factor": ("label_smoothing", "smoothing"),
    "logging_nan_inf_filter": (),
}

# Prefixes that only say who wrote the name, not what it is.
_WRITER_PREFIXES = ("metrics/", "scalars/", "scalar/", "monitor/")
_REMARK = re.compile(r"_\((?:avg|average|mean)\)$")  # no part of the name
_AVERAGED = re.compile(  # says how a number was formed, not of what
    r"(?:(?<=[_/])|^)(?:avg|avr|average|mean|running|smoothed)_|_(?:avg|average|mean)$"
)
_SIZE = re.compile(r"_?[(\[]?(?:[kmgt]i?b|bytes)[)\]]?$")  # the unit of an amount of memory
_TRAIN_PREFIX = re.compile(r"^(?:train|training)[/_]")
_EVAL_PREFIX = re.compile(r"^(eval|val|valid|validation|test|dev)[/_]")


def fold(name: str) -> str:
    """Return `name` in the spelling that the alias table is matched in."""
    folded = re.sub(r"[\s]+", "_", name.strip().lower().replace("-", "_"))
    for prefix in _WRITER_PREFIXES:
        folded = folded.removeprefix(prefix)
    return _REMARK.sub("", folded) if folded.endswith(")") else folded


_CANONICAL = {
    fold(alias): canonical
    for canonical, aliases in METRIC_ALIASES.items()
    for alias in (canonical, *aliases)
}


@lru_cache(maxsize=65_536)
def canonical(name: str) -> str:
    """Return the canonical metric name for a logged one.

    Unknown names keep their own, except that the evaluation prefixes of the common trainers are
    made one: ``eval_f1``, ``val/f1`` and ``valid_f1`` are all ``eval/f1``. What is a metric of the
    training without such a prefix is that of the evaluation with it: ``val_acc@1`` is ``eval/accuracy``.
    """
    folded = fold(name)
    if folded in _CANONICAL:
        return _CANONICAL[folded]
    if (bare := _AVERAGED.sub("", folded)) in _CANONICAL:
        return _CANONICAL[bare]
    plain = _TRAIN_PREFIX.sub("", folded, count=1)
    if "/memory_" in (amount := _CANONICAL.get(_SIZE.sub("", plain), "")):
        return amount
    if _CANONICAL.get(plain, "").startswith(("train/", "perf/")):
        return _CANONICAL[plain]
    if _EVAL_PREFIX.match(folded):
        plain = _EVAL_PREFIX.sub("", folded, count=1)
        known = _CANONICAL.get(plain, "")
        return f"eval/{known.removeprefix('train/') if known.startswith('train/') else plain}"
    return name.strip()


# "checkpoints/step_360.pt", "checkpoint-360", "(step 360)", "global_step360", "iter_0000360"
_STEP = re.compile(r"(?:step|checkpoint|ckpt|iter(?:ation)?)s?[-_= :]{0,2}(\d{1,12})(?!\d)", re.I)


def named_step(text: str) -> int | None:
    """Return the step in the name of a checkpoint or in a line about one, or None."""
    found = _STEP.findall(text)
    return int(found[-1]) if found else None
