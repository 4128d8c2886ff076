"""Targets out of a Trainer, and out of a folder: real models of Hugging Face, made from a configuration."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import Dataset

from loganalyze.finding import Outcome
from loganalyze.probe import from_trainer, probe
from loganalyze.probed import Probed
from tests.probe import targets
from tests.probe.test_init import weights

transformers = pytest.importorskip("transformers")
Call = Callable[..., tuple[int, str, str]]
VOCABULARY = ["<pad>", "<unk>", "<s>", "</s>", *"abcdefghijklmnopqrstuvwxyz "]


class Rows(Dataset):
    """Samples of different length; the label is the first token, modulo four."""

    def __init__(self, count: int = 64) -> None:
        made = torch.Generator().manual_seed(0)
        self.rows = [
            torch.randint(4, 30, (int(torch.randint(4, 12, (1,), generator=made)),), generator=made)
            for _ in range(count)
        ]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = self.rows[index]
        return {"input_ids": row, "labels": int(row[0]) % 4}


def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    longest = max(len(row["input_ids"]) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for place, row in enumerate(rows):
        ids[place, : len(row["input_ids"])] = row["input_ids"]
        mask[place, : len(row["input_ids"])] = 1
    return {
        "input_ids": ids, "attention_mask": mask,
        "labels": torch.tensor([row["labels"] for row in rows]),
    }  # fmt: skip


def classifier(**changed: Any) -> Any:
    torch.manual_seed(0)
    config = transformers.GPT2Config(**{
        "vocab_size": 30, "n_positions": 32, "n_embd": 32, "n_layer": 2, "n_head": 2,
        "num_labels": 4, "pad_token_id": 0, **changed,
    })  # fmt: skip
    return transformers.GPT2ForSequenceClassification(config)


def trainer(folder: Path, kind: Any = transformers.Trainer, **fields: Any) -> Any:
    options = {"per_device_train_batch_size": 8, "learning_rate": 1e-3, **fields}
    arguments = transformers.TrainingArguments(str(folder), report_to=[], use_cpu=True, **options)
    return kind(model=classifier(), args=arguments, train_dataset=Rows(), data_collator=collate)


def results(made: Probed) -> dict[str, Any]:
    assert all(one.restored.identical for one in made.results), made.results[0].restored
    return {one.check: one for one in made.results}


def test_a_trainer_of_hugging_face_is_probed_with_its_own_loss(tmp_path: Path) -> None:
    own = trainer(tmp_path)
    before = {name: value.clone() for name, value in own.model.state_dict().items()}
    found = results(probe(from_trainer(own), ["init", "gradients", "overfit", "nan", "data"]))
    assert {one.outcome for one in found.values()} == {Outcome.PASSED}, found
    assert found["init"].measurements["classes"] == 4
    assert found["init"].measurements["gradient_of_micro_batches_to_large"] == pytest.approx(
        1, abs=0.01
    )
    assert weights(found["init"])["pad-or-mask-bug"] < 0
    assert all(torch.equal(before[n], v) for n, v in own.model.state_dict().items())
    assert own.optimizer is None
    assert own.state.global_step == 0


def test_what_the_trainer_makes_of_accumulation_is_measured_as_it_is(tmp_path: Path) -> None:
    """transformers 5.24 sums the loss of this model over micro-batches (its forward takes **kwargs and does
    not hand num_items_in_batch on); whichever version is installed, the probe must say what training does."""
    norms = []
    for size, steps in ((8, 1), (2, 4)):
        own = trainer(
            tmp_path, per_device_train_batch_size=size, gradient_accumulation_steps=steps,
            max_steps=1, logging_steps=1, save_strategy="no", disable_tqdm=True,
        )  # fmt: skip
        for module in own.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        own.train()
        norms.append(own.state.log_history[0]["grad_norm"])
    found = results(probe(from_trainer(trainer(tmp_path, gradient_accumulation_steps=4)), ["init"]))
    measured = found["init"].measurements["gradient_of_micro_batches_to_large"]
    assert measured == pytest.approx(norms[1] / norms[0], rel=0.05)
    assert (found["init"].outcome is Outcome.FOUND) == (measured > 2)


def test_a_trainer_that_sums_over_accumulation_is_found_out(tmp_path: Path) -> None:
    class Summing(transformers.Trainer):
        def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
            model.train()
            loss = self.compute_loss(model, inputs)
            loss.backward()
            return loss.detach()

    own = trainer(tmp_path, Summing, gradient_accumulation_steps=4)
    found = results(probe(from_trainer(own), ["init"]))["init"]
    assert "4 micro-batches is 4" in found.summary
    assert weights(found)["loss-not-normalized"] >= 3


def test_a_model_without_a_padding_token_refuses_a_batch(tmp_path: Path) -> None:
    own = trainer(tmp_path)
    own.model.config.pad_token_id = None
    found = results(probe(from_trainer(own), ["init"]))["init"]
    assert found.outcome is Outcome.FOUND
    assert weights(found)["pad-or-mask-bug"] >= 5
    assert "no padding token is defined" in found.summary


def test_pad_that_is_eos_and_pooled_at_the_last_token_on_padded_batches() -> None:
    model = classifier(pad_token_id=7)  # texts are padded with 0, and the model looks for 7
    rows = Rows()
    batches = [collate([rows[i] for i in range(k, k + 8)]) for k in range(0, 64, 8)]
    found = results(probe(targets.healthy(model=model, batches=batches, loss=None), ["init"]))[
        "init"
    ]
    assert "Padding changes the loss" in found.summary
    assert weights(found)["pad-or-mask-bug"] >= 3


def test_a_language_model_is_compared_with_the_vocabulary() -> None:
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=30, n_positions=32, n_embd=32, n_layer=2, n_head=2)
    model = transformers.GPT2LMHeadModel(config)
    rows = Rows()
    batches = []
    for k in range(0, 32, 8):
        batch = collate([rows[i] for i in range(k, k + 8)])
        batch["labels"] = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
        batches.append(batch)
    target = targets.healthy(model=model, batches=batches, loss=None)
    found = results(probe(target, ["init", "gradients", "nan", "data"]))
    assert {one.outcome for one in found.values()} == {Outcome.PASSED}, found
    assert found["init"].measurements["classes"] == 30


def folder_of(tmp_path: Path, model: Any) -> Path:
    tokenizers = pytest.importorskip("tokenizers")
    folder = tmp_path / "model"
    known = {token: number for number, token in enumerate(VOCABULARY)}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(known, unk_token="<unk>"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
    made.decoder = tokenizers.decoders.Fuse()
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="<unk>", pad_token="<pad>", bos_token="<s>",
        eos_token="</s>", model_max_length=32,
    )  # fmt: skip
    fast.save_pretrained(folder)
    model.save_pretrained(folder)
    return folder


def test_a_folder_and_a_file_make_a_target(call: Call, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, classifier())
    rows = [{"text": "abcdef"[: 2 + i % 4], "label": i % 4} for i in range(32)]
    data = tmp_path / "rows.jsonl"
    data.write_text("\n".join(json.dumps(row) for row in rows))
    code, out, err = call("probe", "init,data", "--hf", folder, "--data", data)
    assert code == 0, err
    assert "model with rows.jsonl: GPT2ForSequenceClassification" in " ".join(out.split())
    assert json.loads(Path("probe.json").read_text())["results"][0]["measurements"]["classes"] == 4


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.txt", "x", "is no .jsonl, .csv or .parquet file"),
        ("rows.csv", "a,b\n1,2\n", "has no column of text"),
        ("rows.jsonl", "{broken", "cannot read data from"),
        ("rows.csv", "text\n", "has no rows"),
    ],
)
def test_data_that_cannot_be_used_is_told_in_one_line(
    call: Call, tmp_path: Path, name: str, content: str, said: str
) -> None:
    folder = folder_of(tmp_path, classifier())
    (tmp_path / name).write_text(content)
    code, _, err = call("probe", "init", "--hf", folder, "--data", tmp_path / name)
    assert code == 2
    assert said in err
    assert err.count("\n") == 1
