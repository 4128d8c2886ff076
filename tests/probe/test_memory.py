from __future__ import annotations

import pytest
import torch
from torch import nn

from loganalyze.finding import Outcome
from loganalyze.probe import ProbeTarget, memory, probe
from loganalyze.probe.gpus import needed, smallest
from loganalyze.probe.live import Live
from loganalyze.probed import ProbeResult
from tests.probe import targets

NUMBERS = 20 * 64 + 64 + 64 * 10 + 10  # parameters of targets.mlp()


def result(target: ProbeTarget) -> ProbeResult:
    torch.set_num_threads(1)
    (found,) = probe(target, ["memory"], seconds=60).results
    assert found.restored.identical, found.restored.changed
    return found


def weights(found: ProbeResult) -> dict[str, float]:
    total: dict[str, float] = {}
    for one in found.evidence:
        total[one.cause] = total.get(one.cause, 0.0) + one.weight
    return total


class Hoarder(nn.Module):
    """Keeps something of every step."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.inner = targets.mlp()
        self.what = what
        self.seen: list[object] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = self.inner(x)
        kept = {"graph": logits * 1, "detached": logits.detach() * 1, "number": 1.5}
        self.seen.append(kept[self.what])
        return logits


def test_the_parts_of_a_step_are_what_they_must_be() -> None:
    model = targets.mlp(dropout=0.0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    found = result(targets.healthy(model=model, optimizer=optimizer)).measurements
    assert found["bytes_weights"] == found["bytes_gradients"] == 4 * NUMBERS
    assert (
        found["bytes_optimizer"] == 8 * NUMBERS + 4 * 4
    )  # two moments; a counter for each of 4 tensors
    # What backward needs of 16 samples: the output of ReLU (64); then the logits and their log-softmax (10).
    assert 4 * 16 * 64 <= found["bytes_activations"] <= 4 * 16 * (2 * 64 + 4 * 10)
    assert found["bytes_peak"] >= 16 * NUMBERS
    assert found["bytes_peak_is"] == "of the tensors seen"


def test_frozen_weights_have_no_gradient_and_no_state() -> None:
    model = targets.mlp()
    model[0].requires_grad_(False)
    found = result(targets.healthy(model=model)).measurements
    assert found["bytes_weights"] == 4 * NUMBERS
    assert found["bytes_gradients"] == 4 * 650
    assert found["bytes_optimizer"] == pytest.approx(8 * 650, abs=16)


def test_sgd_keeps_nothing_of_its_own() -> None:
    model = targets.mlp()
    found = result(targets.healthy(model=model, optimizer=torch.optim.SGD(model.parameters(), 0.1)))
    assert found.measurements["bytes_optimizer"] == 0


def test_a_healthy_model_leaves_nothing_behind() -> None:
    found = result(targets.healthy())
    assert found.outcome is Outcome.PASSED, found.summary
    assert found.measurements["bytes_left_by_each_step"] == 0
    assert weights(found)["memory-leak-retained-graph"] < 0
    rows = {row[0]: row for row in found.tables[0].rows}
    assert {"as it is", "batch size 8", "bf16 autocast", "8-bit optimizer"} <= rows.keys()
    assert found.measurements["smallest_gpu"] == "RTX 3060, 4070 (12 GB)"


@pytest.mark.parametrize(
    ("what", "said", "weight"),
    [("graph", "with its graph", 3.0), ("detached", "without a graph", 1.6)],
)
def test_a_model_that_keeps_every_step_leaks(what: str, said: str, weight: float) -> None:
    found = result(targets.healthy(model=Hoarder(what)))
    assert found.outcome is Outcome.FOUND
    assert said in found.summary
    assert weights(found)["memory-leak-retained-graph"] == weight
    assert found.measurements["bytes_left_by_each_step"] >= 4 * 16 * 10


def test_numbers_are_no_leak() -> None:
    assert result(targets.healthy(model=Hoarder("number"))).outcome is Outcome.PASSED


def test_checkpointing_is_estimated_for_stacked_layers() -> None:
    layers = [nn.Sequential(nn.Linear(20, 200), nn.ReLU(), nn.Linear(200, 20)) for _ in range(6)]
    model = nn.Sequential(nn.Sequential(*layers), nn.Linear(20, 10))
    rows = {row[0]: row for row in result(targets.healthy(model=model)).tables[0].rows}
    assert "gradient checkpointing" in rows
    assert rows["gradient checkpointing"][1] == rows["as it is"][1]


def test_a_batch_too_large_for_the_cpu_is_drawn_out(monkeypatch: pytest.MonkeyPatch) -> None:
    real = result(targets.healthy()).measurements
    monkeypatch.setattr(memory, "available", lambda device: 1000)
    found = result(targets.healthy())
    assert any("drawn out to 16" in note for note in found.notes)
    assert found.measurements["bytes_activations"] == pytest.approx(
        real["bytes_activations"], rel=0.1
    )
    assert found.measurements["bytes_peak"] >= 0.9 * real["bytes_peak"]


def test_a_lack_of_memory_is_the_result() -> None:
    class Full(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory")

    found = result(targets.healthy(model=Full(20, 10)))
    assert "does not fit into the memory" in found.summary
    assert weights(found)["batch-too-large"] >= 3


def test_live_counts_storages_once_and_until_they_are_gone() -> None:
    live = Live()
    with live:
        one = torch.zeros(100)
        view = one[:50]
        two = one + 1
    assert live.now == live.peak == 800
    del two
    assert live.now == 400
    del one
    assert live.now == 400
    del view
    assert (live.now, live.peak) == (0, 800)


def test_gpus_by_what_is_needed() -> None:
    assert needed(9 * 2**30) == pytest.approx(10.67, abs=0.01)
    assert smallest(20 * 2**30) == "RTX 3090, 4090, A5000 (24 GB)"
    assert smallest(400 * 2**30) is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_peak_of_the_allocator_is_near_that_of_the_tensors() -> None:
    (found,) = probe(targets.healthy(), ["memory"], device="cuda", seconds=60).results
    assert found.restored.identical, found.restored.changed
    assert found.measurements["bytes_peak_is"] == "of the allocator"
