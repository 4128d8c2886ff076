from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from torch import nn

from loganalyze.finding import Outcome
from loganalyze.probe import ProbeTarget, probe
from loganalyze.probed import Drawn, ProbeResult
from tests.probe import targets
from tests.probe.test_init import weights


def result(target: ProbeTarget) -> ProbeResult:
    (found,) = probe(target, ["data"]).results
    assert found.restored.identical, found.restored.changed
    return found


class Letters:
    """A tokenizer: a token for each letter; 0 is BOS, 1 EOS, 2 PAD."""

    bos_token_id, eos_token_id, pad_token_id = 0, 1, 2
    model_max_length = 12

    def __len__(self) -> int:
        return 50

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return [3 + ord(letter) % 47 for letter in text]

    def decode(self, ids: list[int], skip_special_tokens: bool = False) -> str:
        names = {3 + ord(c) % 47: c for c in "abcdefghijklmnopqrstuvwxyz"}
        return "".join(names.get(i, "?") for i in ids if i > 2 or not skip_special_tokens)


def test_healthy_data_has_nothing_wrong() -> None:
    found = result(targets.healthy())
    assert found.outcome is Outcome.PASSED, found.problems
    assert found.measurements["samples"] == 80
    said = weights(found)
    assert max(said.values()) < 0
    assert said["label-out-of-range"] <= -3


@pytest.mark.parametrize(
    ("change", "said", "cause"),
    [
        (lambda x, y: (x, y + 3), "Batch 0: The label 12 of sample", "label-out-of-range"),
        (lambda x, y: (x * 70 + 127, y), "it is not scaled", "inputs-not-normalized"),
        (lambda x, y: (x, y * 0 - 100), "All 80 labels are -100", "labels-all-masked"),
        (lambda x, y: (x, y * 0 + 4), "All 80 labels are 4", "labels-wrong"),
        (lambda x, y: (x * 0, y), "is 0 throughout", "inputs-not-normalized"),
        (lambda x, y: (x[:1].repeat(16, 1), y), "and another label", "labels-wrong"),
    ],
)
def test_a_fault_is_named(change: object, said: str, cause: str) -> None:
    batches = [change(x, y) for x, y in targets.pairs()]  # type: ignore[operator]
    found = result(targets.healthy(batches=batches))
    assert any(said in line for line in found.problems), found.problems
    assert weights(found)[cause] > 0


def test_a_sample_with_nan_and_a_batch_that_stands_out() -> None:
    batches = targets.pairs(6)
    batches[3][0][2, 0] = float("inf")
    batches[4][0][1, 1] = 1e4
    found = result(targets.healthy(batches=batches))
    assert any("infinity in 0 of batch 3, sample 2" in line for line in found.problems)
    assert weights(found)["outlier-batch"] > 0


def test_classes_in_order_are_told_from_shuffled_ones() -> None:
    made = torch.Generator().manual_seed(0)
    x, y = torch.randn(160, 20, generator=made), torch.arange(160) // 16
    for order, cause in ((torch.arange(160), 3), (torch.randperm(160, generator=made), -1.6)):
        batches = [(x[i], y[i]) for i in order.split(16)]
        assert weights(result(targets.healthy(batches=batches)))["data-not-shuffled"] == cause


def test_padding_that_counts_and_special_tokens() -> None:
    batches = targets.texts()
    for batch in batches:
        batch["labels"] = batch["input_ids"].clone()
    model = targets.pools_at_the_last_real_token().model
    found = result(ProbeTarget(model, batches, tokenizer=Letters(), num_classes=50))
    assert any("places of padding count in the loss" in line for line in found.problems)
    tokenizer = Letters()
    tokenizer.eos_token_id = 2  # type: ignore[misc]
    found = result(ProbeTarget(model, targets.texts(), tokenizer=tokenizer))
    assert any("PAD is EOS (token 2)" in line for line in found.problems)
    model.config = SimpleNamespace(pad_token_id=None)
    found = result(ProbeTarget(model, targets.texts(), tokenizer=Letters()))
    assert any("the model's configuration says None" in line for line in found.problems)


def test_a_token_that_the_model_does_not_have() -> None:
    batches = targets.texts()
    batches[1]["input_ids"][0, 0] = 50
    (found,) = probe(
        ProbeTarget(targets.Pooler(lambda i, m: m.sum(-1) - 1), batches), ["data"]
    ).results
    assert any("The token 50 is none of the model's" in line for line in found.problems)
    assert weights(found)["tokenizer-mismatch"] >= 3


def test_samples_that_are_empty_missing_or_lost() -> None:
    texts = ["abc", "", "x" * 40, "bcd"]
    found = result(targets.healthy(samples=texts, tokenizer=Letters()))
    assert "1 of 4 texts are empty." in found.problems
    assert any("longer than the model's 12 tokens; the longest has 40" in n for n in found.notes)
    found = result(targets.healthy(samples=["ABC 123"] * 3, tokenizer=Letters()))
    assert any("lost in tokenization" in line for line in found.problems)
    pictures = [
        {"image": None},
        {"image": Image.new("CMYK", (4, 4))},
        {"image": Image.new("L", (0, 4))},
    ]
    found = result(targets.healthy(samples=pictures))
    assert len(found.problems) == 3


def test_the_sheet_shows_pictures_with_their_labels() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 10))
    batches = [(torch.rand(4, 3, 8, 8), torch.arange(4))]
    found = result(ProbeTarget(model, batches, nn.CrossEntropyLoss(), label_names=["cat"] * 10))
    sheet = found.figures[0]
    assert sheet.drawn is Drawn.PICTURES
    assert [picture.caption for picture in sheet.pictures][1] == "sample 1, label 1: cat"
