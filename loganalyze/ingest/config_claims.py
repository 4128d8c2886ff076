"""Which files hold the settings of a training: some by their name, others by what they set.

Packages, tokenizers and models come with files that look alike and set nothing of the training;
a folder full of configurations belongs to a program, not to a run.
"""

from __future__ import annotations

import re
from pathlib import Path

from loganalyze.names import CONFIG_ALIASES

MAX_BYTES = 1_000_000  # a configuration is small; more is data
FEWEST_SETTINGS = 2  # known ones that make a file of any name a configuration
NAMES = frozenset(
    {"config.json", "training_args.json", "args.json", "adapter_config.json", "hparams.yaml",
     "params.yaml", "params.yml", "config.yaml", "config.yml", "training.yaml", "training.yml",
     "ds_config.json", "args.yaml", "hparams.yml", "hparams.json", "params.json", "args.txt",
     "opt.txt", "train_opt.txt", "flags.txt", "flagfile.txt", "hparams.txt", "config.toml"}
)  # fmt: skip
OTHERS = frozenset(
    {"package.json", "package-lock.json", "tokenizer.json", "tokenizer_config.json",
     "special_tokens_map.json", "generation_config.json", "vocab.json", "added_tokens.json",
     "preprocessor_config.json", "processor_config.json", "dataset_info.json",
     "dataset_infos.json", "model_index.json", "trainer_state.json", "all_results.json",
     "train_results.json", "eval_results.json", "wandb-summary.json", "wandb-metadata.json",
     "pyproject.toml", "Cargo.toml", "poetry.toml", "uv.toml", "hydra.yaml", "conda.yaml",
     "environment.yaml", "environment.yml", "meta.yaml", "mkdocs.yml"}
)  # fmt: skip
COLLECTIONS = frozenset({"configs", "conf", "recipes", "examples", "templates", "test", "tests"})
DEEPSPEED = frozenset({"train_micro_batch_size_per_gpu", "zero_optimization"})
_ENDINGS = frozenset({".json", ".yaml", ".yml", ".toml"})
_KEY = re.compile(rb"""(?:^|[{,])[ \t-]*["']?([A-Za-z][\w.-]{0,60})["']?\s*[:=]""", re.MULTILINE)
# What these settings are called says too little: other files have keys of that name.
_COMMON = frozenset({"loss", "task", "model_type", "problem_type", "mixed_precision"})
_SETTINGS = {
    alias: setting
    for setting, aliases in CONFIG_ALIASES.items()
    if setting not in _COMMON
    for alias in (setting, *aliases)
}


def claims(path: Path, head: bytes) -> bool:
    """Tell whether this is a configuration file, by its name or by the settings in it."""
    if not head or path.name in OTHERS or path.name.endswith(".index.json"):
        return False
    if path.name == "overrides.yaml":
        return path.parent.name == ".hydra"
    return path.name in NAMES or (
        path.suffix in _ENDINGS and path.parent.name not in COLLECTIONS and _sets_enough(path, head)
    )


def order(path: Path) -> float:
    """Say which of several configurations counts first: the smaller.

    What Hydra kept of the run, then what is named as a run's own, then any other; a folder full of
    configurations holds what a program may use, not what this run used.
    """
    if path.parent.name == ".hydra":
        return -1.0
    return float(path.name not in NAMES or path.parent.name in COLLECTIONS)


def _sets_enough(path: Path, head: bytes) -> bool:
    keys = {key.decode().lower().replace("-", "_").rpartition(".")[2] for key in _KEY.findall(head)}
    known = {_SETTINGS[key] for key in keys & set(_SETTINGS)}
    if len(known) < FEWEST_SETTINGS and not keys & DEEPSPEED:
        return False
    try:
        return path.stat().st_size <= MAX_BYTES
    except OSError:
        return False
