from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from loganalyze.ingest import config_file
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
