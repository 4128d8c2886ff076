from __future__ import annotations

import argparse
import io
import os
import pickle
import struct
import sys
import zipfile
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loganalyze.ingest import load, pickle_values, training_args
from loganalyze.ingest.ingester import HEAD_BYTES, Table


def read(path: Path, root: Path | None = None) -> Table:
    assert training_args.claims(path, path.read_bytes()[:HEAD_BYTES])
    (table,) = training_args.read(path, root or path.parent)
    return table


def settings(path: Path) -> dict[str, object]:
    return {key: found.value for key, found in read(path).config.items()}


def archive(path: Path, pickled: bytes, *, compression: int = zipfile.ZIP_STORED) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", compression) as made:
        made.writestr("training_args/data.pkl", pickled)
        made.writestr("training_args/version", "3\n")
    return path


@pytest.fixture(params=["TrainingArguments", "Seq2SeqTrainingArguments"])
def arguments(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    import transformers

    return getattr(transformers, request.param)(
        output_dir=str(tmp_path / "out"),
        learning_rate=3e-4,
        lr_scheduler_type="cosine",
        lr_scheduler_kwargs={"num_cycles": 2},
        per_device_train_batch_size=4,
        num_train_epochs=2,
        max_grad_norm=0.5,
        logging_strategy="epoch",
        report_to=[],
        use_cpu=True,
    )


@pytest.mark.parametrize("new_format", [True, False])
def test_the_arguments_of_the_trainer_are_read(
    tmp_path: Path, arguments: Any, new_format: bool
) -> None:
    import torch

    path = tmp_path / "training_args.bin"
    # What `Trainer._save` does.
    torch.save(arguments, path, _use_new_zipfile_serialization=new_format)
    found = settings(path)
    for key, value in arguments.to_dict().items():
        if key in found and isinstance(value, (bool, int, float)):
            assert found[key] == value, key
    assert found["learning_rate"] == 3e-4
    assert found["lr_scheduler_type"] == "cosine"
    assert found["lr_scheduler_kwargs.num_cycles"] == 2
    assert found["logging_strategy"] == "epoch"
    assert found["optim"] == arguments.optim.value
    assert found["output_dir"] == str(tmp_path / "out")
    assert found["logging_nan_inf_filter"] is True
    assert found["distributed_state.device"] == "cpu"
    assert len(found) > 100
    facts = read(path).facts
    assert (facts.framework, facts.planned_epochs) == ("hf-trainer", 2.0)
    assert read(path).config["seed"].where == "training_args.bin: seed"


def test_a_run_knows_its_arguments(tmp_path: Path, arguments: Any) -> None:
    import torch

    log = '[{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}]'
    (tmp_path / "out" / "checkpoint-2").mkdir(parents=True)
    (tmp_path / "out" / "checkpoint-10").mkdir()
    (tmp_path / "out" / "trainer_state.json").write_text(log)
    torch.save(arguments, tmp_path / "out" / "checkpoint-2" / "training_args.bin")
    arguments.max_grad_norm = 0.25
    torch.save(arguments, tmp_path / "out" / "checkpoint-10" / "training_args.bin")
    run = load(tmp_path / "out")
    assert run.number("max_grad_norm") == 0.25  # the later word
    assert run.framework == "hf-trainer"
    assert run.others == ()


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_gives_the_same_settings(tmp_path: Path, protocol: int) -> None:
    import torch

    saved = argparse.Namespace(
        lr=1e-3, steps=70_000, big=2**40, name="größe", flag=True, none=None, path=Path("a/b"),
        dtype=torch.float32, colour=Colour.RED, betas=(0.9, 0.999), nested={"deep": {"er": 1}},
        names=["a", "b"], data=b"bytes", chosen={1}, none_of=(), negative=-1, _private=1,
    )  # fmt: skip
    saved.itself = saved
    found = settings(archive(tmp_path / "training_args.bin", pickle.dumps(saved, protocol)))
    expected = {
        "lr": 1e-3, "steps": 70_000, "big": 2**40, "name": "größe", "flag": True, "none": None,
        "path": "a/b", "colour": "red", "betas": "0.9, 0.999", "nested.deep.er": 1,
        "names": "a, b", "none_of": "", "negative": -1,
    }  # fmt: skip
    assert {key: found.get(key) for key in expected} == expected
    assert "_private" not in found
    if protocol >= 2:
        assert found["dtype"] == "torch.float32"


class Hostile:
    """An object whose pickle runs a command, imports a module, evaluates text."""

    def __init__(self, call: Any, *arguments: Any) -> None:
        self.call = (call, arguments)

    def __reduce__(self) -> Any:
        return self.call


def test_nothing_in_a_pickle_is_run_or_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "touched"
    module = tmp_path / "evil_settings.py"
    module.write_text(f"open({str(marker)!r}, 'w')\n")
    monkeypatch.syspath_prepend(tmp_path)

    def forbidden(*_: object) -> None:
        raise AssertionError("something was unpickled or run")

    command = Hostile(os.system, f"touch {marker}")
    evaluated = Hostile(eval, f"open({str(marker)!r}, 'w')")
    pickled = pickle.dumps(argparse.Namespace(lr=0.5, a=command, b=evaluated), 2)
    imports = b"\x80\x02}q\x00(X\x02\x00\x00\x00lrG?\xe0\x00\x00\x00\x00\x00\x00X\x01\x00\x00\x00acevil_settings\nrun\n)Ru."
    for name in ("load", "loads", "Unpickler", "_Unpickler"):
        monkeypatch.setattr(pickle, name, forbidden)
    monkeypatch.setattr(os, "system", forbidden)
    for data in (pickled, imports):
        found = settings(archive(tmp_path / "training_args.bin", data))
        assert found["lr"] == 0.5
    assert not marker.exists()
    assert "evil_settings" not in sys.modules


def test_a_pickle_that_is_only_a_command_holds_no_arguments(tmp_path: Path) -> None:
    marker = tmp_path / "touched"
    path = archive(
        tmp_path / "training_args.bin", pickle.dumps(Hostile(os.system, f"touch {marker}"))
    )
    with pytest.raises(ValueError, match="holds no arguments"):
        training_args.read(path, tmp_path)
    assert not marker.exists()


def shared(levels: int) -> dict[str, Any]:
    """Return mappings that hold each other, ten times each."""
    inner: dict[str, Any] = {"lr": 1.0}
    for _ in range(levels):
        inner = {f"k{at}": inner for at in range(10)}
    return inner


LONG_LIST = b"\x80\x04(" + b"K\x01" * (pickle_values.MAX_ITEMS + 1) + b"l."
BOMBS = {
    "many instructions": b"\x80\x04" + b"K\x010" * pickle_values.MAX_INSTRUCTIONS + b".",
    "many items": LONG_LIST,
    "no stop": b"\x80\x04K\x01",
    "empty stack": b"\x80\x040.",
    "no mark": b"\x80\x04K\x01l.",
    "unknown memo": b"\x80\x04h\x07.",
    "long string": b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"x.",
    "long integer": b"\x80\x04\x8b" + struct.pack("<I", 2**31 - 1) + b"x.",
    "digits": b"I" + b"9" * 10_000 + b"\n.",
    "no pickle": b"hello",
    "nothing": b"",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_words(tmp_path: Path, name: str) -> None:
    path = archive(tmp_path / "training_args.bin", BOMBS[name])
    with pytest.raises(ValueError, match=r"pickle|arguments"):
        training_args.read(path, tmp_path)


def test_shared_mappings_do_not_multiply(tmp_path: Path) -> None:
    pickled = pickle.dumps({"lr": 0.5, "more": shared(30)})
    found = settings(archive(tmp_path / "training_args.bin", pickled))
    assert found["lr"] == 0.5
    assert len(found) < 100


def test_archives_that_pytorch_does_not_write_are_refused(tmp_path: Path) -> None:
    pickled = pickle.dumps({"lr": 0.5})
    squeezed = archive(tmp_path / "a.bin", pickled, compression=zipfile.ZIP_DEFLATED)
    large = archive(tmp_path / "b.bin", pickled + b"\0" * training_args.MAX_BYTES)
    for path, words in ((squeezed, "compressed"), (large, "larger than")):
        with pytest.raises(ValueError, match=words):
            training_args.read(path, tmp_path)
    other = tmp_path / "c.bin"
    with zipfile.ZipFile(other, "w") as made:
        made.writestr("a/b/data.pkl", pickled)
    with pytest.raises(ValueError, match=r"without data\.pkl"):
        training_args.read(other, tmp_path)


def test_a_cut_archive_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "training_args.bin", pickle.dumps({"lr": 0.5}))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match="damaged zip"):
        training_args.read(path, tmp_path)


@pytest.mark.parametrize(
    ("name", "head", "claimed"),
    [
        ("training_args.bin", b"PK\x03\x04", True),
        ("training_args.bin", b"\x80\x02\x8a", True),
        ("training_args.bin", b"version https://git-lfs", False),
        ("args.bin", b"PK\x03\x04 x/data.pkl \x80\x02ctransformers.training_args\nTrainingArguments", True),
        ("pytorch_model.bin", b"PK\x03\x04 archive/data.pkl", False),
        ("optimizer.pt", b"PK\x03\x04 archive/data.pkl", False),
    ],
)  # fmt: skip
def test_only_arguments_are_claimed(name: str, head: bytes, claimed: bool) -> None:
    assert training_args.claims(Path(name), head) is claimed


@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for start in (b"", b"\x80\x04", pickle.dumps({"lr": 0.5})[:-1]):
        try:
            list(pickle_values.values(start + data))
        except ValueError:
            continue


Plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(value=Plain, protocol=st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_plain_values_come_back_as_they_were(value: object, protocol: int) -> None:
    buffer = io.BytesIO()
    pickle.Pickler(buffer, protocol).dump(value)
    (found,) = pickle_values.values(buffer.getvalue())
    assert found == value
