from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from loganalyze.ingest import config_file, load
from loganalyze.ingest.ingester import HEAD_BYTES
from loganalyze.run import ConfigValue


def settings(path: Path, root: Path | None = None) -> dict[str, ConfigValue]:
    (table,) = config_file.read(path, root or path.parent)
    return dict(table.config)


def values(path: Path) -> dict[str, object]:
    return {key: found.value for key, found in settings(path).items()}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def test_the_classes_of_a_transformers_model_are_counted(tmp_path: Path) -> None:
    from transformers import BertConfig

    BertConfig(num_labels=280, vocab_size=1_000).save_pretrained(tmp_path)
    found = values(tmp_path / "config.json")
    assert found["num_labels"] == 280
    assert found["vocab_size"] == 1_000
    assert found["model_type"] == "bert"
    assert not [key for key in found if key.startswith(("id2label.", "label2id."))]


def test_nested_yaml_becomes_dotted_keys_that_say_where_they_stand(tmp_path: Path) -> None:
    path = write(tmp_path / "training.yml", "optimizer:\n  lr: 1e-5\n  betas: [0.9, 0.999]\n")
    found = settings(path)
    assert found["optimizer.lr"] == ConfigValue(1e-5, "training.yml: optimizer.lr")
    assert found["optimizer.betas"].value == "0.9, 0.999"


def test_the_value_form_of_weights_and_biases_is_unwrapped(tmp_path: Path) -> None:
    path = write(
        tmp_path / "config.yaml",
        yaml.safe_dump({"lr": {"value": 3e-4, "desc": None}, "model": {"value": {"width": 8}}}),
    )
    assert values(path) == {"lr": 3e-4, "model.width": 8}


@pytest.mark.parametrize(
    "place", ["a/config.yaml", "a/.hydra/config.yaml", "a/checkpoint-500/config.yaml"]
)
def test_a_configuration_belongs_to_its_run_s_folder(tmp_path: Path, place: str) -> None:
    path = write(tmp_path / place, "lr: 0.1\n")
    (table,) = config_file.read(path, tmp_path)
    assert table.run == "a"
    assert table.source == place


def test_a_deepspeed_configuration_is_known_by_its_keys(tmp_path: Path) -> None:
    text = json.dumps({"train_micro_batch_size_per_gpu": 4, "zero_optimization": {"stage": 2}})
    path = write(tmp_path / "z2.json", text)
    assert config_file.claims(path, text.encode())
    assert values(path)["zero_optimization.stage"] == 2


@pytest.mark.parametrize(
    ("name", "head", "claimed"),
    [
        ("hparams.yaml", b"lr: 1", True),
        ("adapter_config.json", b"{", True),
        ("package.json", b"{}", False),
        ("config.json", b"", False),
        ("tokenizer.json", b"{}", False),
    ],
)
def test_only_configurations_are_claimed(name: str, head: bytes, claimed: bool) -> None:
    assert config_file.claims(Path(name), head) is claimed


def test_what_deepspeed_calls_auto_is_no_setting(tmp_path: Path) -> None:
    text = {
        "zero_optimization": {"stage": 3},
        "train_micro_batch_size_per_gpu": "auto",
        "bf16": {"enabled": True},
        "optimizer": {"params": {"lr": "auto"}},
    }
    path = write(tmp_path / "zero3.json", json.dumps(text))
    assert values(path) == {"zero_optimization.stage": 3, "bf16.enabled": True}


TORCHTITAN = """
[job]
dump_folder = "./outputs"
[optimizer]
name = "AdamW"
lr = 3e-4
[lr_scheduler]
warmup_steps = 200
[training]
local_batch_size = 8
max_norm = 1.0
steps = 1000
mixed_precision_param = "bfloat16"
started = 2024-01-01
"""


def claimed(path: Path) -> bool:
    return config_file.claims(path, path.read_bytes()[:HEAD_BYTES])


def test_a_job_of_torchtitan_is_known_by_its_settings(tmp_path: Path) -> None:
    write(tmp_path / "train.log", "step: 1 loss: 3.5\nstep: 2 loss: 3.0\n")
    path = write(tmp_path / "llama3_8b.toml", TORCHTITAN)
    assert claimed(path)
    run = load(tmp_path)
    assert run.number("learning_rate") == 3e-4
    assert run.number("warmup_steps") == 200
    assert run.number("train_batch_size") == 8
    assert run.number("max_grad_norm") == 1.0
    assert run.planned_steps == 1000
    assert str(run.config["training.steps"].where) == "llama3_8b.toml: training.steps"


def test_the_overrides_of_hydra_are_settings_of_the_folder_above(tmp_path: Path) -> None:
    text = "- lr=0.1\n- +model.depth=3\n- optimizer=adam\n- ~callbacks\n- name='a b'\n- {x: 1}\n"
    path = write(tmp_path / "run" / ".hydra" / "overrides.yaml", text)
    assert claimed(path)
    (table,) = config_file.read(path, tmp_path)
    assert table.run == "run"
    found = {key: item.value for key, item in table.config.items()}
    assert found == {"lr": 0.1, "model.depth": 3, "optimizer": "adam", "name": "a b"}
    hydra = write(path.with_name("hydra.yaml"), "hydra:\n  task: [lr=0.1]\nlr: 1\nepochs: 2\n")
    assert not claimed(hydra)
    assert not claimed(write(tmp_path / "overrides.yaml", text))


def test_what_hydra_kept_of_the_run_counts_before_what_the_program_offers(tmp_path: Path) -> None:
    run = tmp_path / "outputs" / "12-00-00"
    write(run / "train.log", "step: 1 loss: 3.5\nstep: 2 loss: 3.0\n")
    write(run / ".hydra" / "config.yaml", "optimizer:\n  lr: 0.1\n")
    write(tmp_path / "conf" / "config.yaml", "optimizer:\n  lr: 0.7\nseed: 1\n")
    found = load(tmp_path)
    assert found.number("learning_rate") == 0.1
    assert found.number("seed") == 1


@pytest.mark.parametrize(
    "text",
    [
        "----- Options -----\n  batch_size: 4   \t[default: 1]\n  lr: 0.002\n  name: x y\n---- End ----\n",
        "--batch_size=4\n--lr=0.002\n--name=x y\n",
        "--batch_size 4\n--lr 0.002\n--name x y\n",
        "--batch_size\n4\n--no_aux\n--lr\n0.002\n--name\nx y\n\n----------\n",
        "batch_size = 4\nlr = 0.002\nname = x y\n",
        "Namespace(batch_size=4, lr=0.002, name='x y')\n",
        '{"batch_size": 4, "lr": 0.002, "name": "x y"}',
    ],
)
def test_printed_arguments_are_settings(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "opt.txt", text)
    assert claimed(path)
    assert values(path) == {"batch_size": 4, "lr": 0.002, "name": "x y"}


def test_any_file_that_sets_two_things_is_a_configuration(tmp_path: Path) -> None:
    for name, text in (
        ("bert.yaml", "train:\n  lr: 1e-5\n  epochs: 3\n"),
        ("run.json", '{"model": {"width": 8}, "optim": {"learning_rate": 0.1}, "batch_size": 4}'),
        ("job.toml", "lr = 0.1\nmax_steps = 5\n"),
    ):
        assert claimed(write(tmp_path / name, text))
    named = write(tmp_path / "config.yaml", "lr: 0.5\n")
    tables = [
        *config_file.read(named, tmp_path),
        *config_file.read(tmp_path / "job.toml", tmp_path),
    ]
    assert tables[0].order < tables[1].order  # the run's own word counts first


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("package.json", '{"lr": 1, "batch_size": 2}'),
        ("tokenizer.json", '{"lr": 1, "batch_size": 2}'),
        ("generation_config.json", '{"num_beams": 1, "max_steps": 2, "lr": 1}'),
        ("model.safetensors.index.json", '{"weight_map": {"lr": 1, "batch_size": 2}}'),
        ("wandb-summary.json", '{"lr": 1e-9, "batch_size": 2, "loss": 0.5}'),
        ("pyproject.toml", "lr = 1\nepochs = 2\n"),
        ("docker-compose.yml", "services:\n  db:\n    image: x\n"),
        ("one.yaml", "lr: 1\nlearning_rate: 1\n"),
        ("common.json", '{"task": "x", "loss": 0.5, "dtype": "float32"}'),
        ("configs/big.yaml", "lr: 1\nepochs: 2\n"),
        ("notes.md", "lr: 1\nepochs: 2\n"),
    ],
)
def test_what_belongs_to_packages_and_programs_is_left_alone(
    tmp_path: Path, name: str, text: str
) -> None:
    assert not claimed(write(tmp_path / name, text))


def test_what_is_too_large_is_no_configuration_by_its_content(tmp_path: Path) -> None:
    text = "lr: 1\nepochs: 2\n" + "# \n" * config_file.MAX_BYTES
    assert not claimed(write(tmp_path / "big.yaml", text))


@pytest.mark.parametrize(
    "text",
    ["a = [" + "[" * 20_000, "a" + ".a" * 100_000 + " = 1", "lr = \n", "\ufffd = 1", "a.b\x00"],
)
def test_what_is_no_toml_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="no TOML"):
        config_file.read(write(tmp_path / "config.toml", text), tmp_path)


def test_json_that_is_nested_without_end_is_cut(tmp_path: Path) -> None:
    path = write(tmp_path / "config.json", '{"lr": 1, "a": ' * 900 + "1" + "}" * 900)
    assert values(path)["lr"] == 1


BOMBS = {
    "lists in lists": "a0: &a0 [x, x]\n"
    + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]\n" for n in range(1, 12)),
    "mappings in mappings": "a0: &a0 {x: 1}\n"
    + "".join(
        f"a{n}: &a{n} {{{', '.join(f'k{i}: *a{n - 1}' for i in range(8))}}}\n" for n in range(1, 12)
    ),
    "itself": "a: &a {b: *a}\n",
    "many aliases": "a: &a 1\nb: [" + ", ".join(["*a"] * 200) + "]\n",
    "deep lists": "a: " + "[" * 50_000 + "]" * 50_000,
    "a scalar": "42\n",
    "no yaml": "a: [1\n b: }",
    "bytes": "a: \x00\x01",
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_is_no_configuration_is_refused_in_words(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "config.yaml", BOMBS[name])
    with pytest.raises(ValueError, match=r"YAML|mapping|expands|nested"):
        config_file.read(path, tmp_path)


def test_yaml_tags_construct_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "touched"
    text = f"a: !!python/object/apply:pathlib.Path.touch [!!python/name:x '', {marker}]\n"
    with pytest.raises(ValueError, match="YAML"):
        config_file.read(write(tmp_path / "config.yaml", text), tmp_path)
    assert not marker.exists()


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    path = write(tmp_path / "config.json", "[" + " " * config_file.MAX_BYTES + "]")
    with pytest.raises(ValueError, match="larger than"):
        config_file.read(path, tmp_path)


def test_a_number_without_end_is_kept_as_text(tmp_path: Path) -> None:
    path = write(tmp_path / "config.yaml", f"seed: 0x{'f' * 400}\nlr: .inf\n")
    found = values(path)
    assert isinstance(found["seed"], str)
    assert found["lr"] == float("inf")


@given(data=st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / "config.yaml"
    path.write_bytes(data)
    try:
        tables = config_file.read(path, path.parent)
    except ValueError:
        return
    assert all(
        isinstance(v.value, (str, int, float, type(None))) for v in tables[0].config.values()
    )
