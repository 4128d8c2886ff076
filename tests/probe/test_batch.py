from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import nn

from loganalyze.finding import Outcome
from loganalyze.probe import ProbeTarget, batch, probe
from loganalyze.probe.batch_verdict import split
from loganalyze.probe.room import is_out_of_memory, readable
from loganalyze.probed import ProbeResult
from tests.probe import targets


class Limited(nn.Module):
    """An allocator with a limit: more numbers at once than that do not fit."""

    def __init__(self, most: int, error: Exception) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Linear(1, targets.CLASSES)
        self.most = most
        self.error = error

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.head(x[..., None])
        if self.training and x.numel() > self.most:
            Limited.last = weakref.ref(hidden)
            raise self.error
        return hidden.mean(1)


def limited(
    samples: int, own: int = 32, error: Exception | None = None, **more: object
) -> ProbeTarget:
    batches = targets.pairs(2, own)
    model = Limited(
        20 * samples, error or torch.OutOfMemoryError("CUDA out of memory. Tried to ...")
    )
    return targets.healthy(model=model, batches=batches, **more)


def result(target: ProbeTarget, **options: float) -> ProbeResult:
    torch.set_num_threads(1)
    (found,) = probe(target, ["batch"], seconds=30).results
    assert found.restored.identical, found.restored.changed
    return found


def weights(found: ProbeResult) -> dict[str, float]:
    total: dict[str, float] = {}
    for one in found.evidence:
        total[one.cause] = total.get(one.cause, 0.0) + one.weight
    return total


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "MOST", 256)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("MPS backend out of memory"),
        MemoryError(),
    ],
)
def test_a_batch_that_does_not_fit_is_split_into_accumulation_steps(error: Exception) -> None:
    found = result(limited(12, error=error))
    assert found.outcome is Outcome.FOUND
    assert "the largest that fits is 12." in found.summary
    assert found.measurements["smallest_that_does_not"] == 13
    assert weights(found)["batch-too-large"] >= 3
    assert found.fix == (
        "batch size 32 -> 8, gradient accumulation 1 -> 4 (the effective batch: 32 -> 32)",
    )


def test_the_tensors_of_a_step_that_failed_are_given_back() -> None:
    target = limited(12)
    target.model.error = torch.OutOfMemoryError("CUDA out of memory")
    result(target)
    target.model.error.__traceback__ = None
    gc.collect()
    assert Limited.last() is None


def test_the_largest_batch_is_found_above_the_own_size() -> None:
    found = result(limited(100))
    assert found.outcome is Outcome.PASSED, found.summary
    assert 94 <= found.measurements["largest_that_fits"] <= 100
    assert found.measurements["smallest_that_does_not"] >= 101


@pytest.mark.usefixtures("few")
def test_a_batch_that_fits_needs_nothing() -> None:
    found = result(targets.healthy())
    assert found.outcome is Outcome.PASSED, found.summary
    assert found.measurements["largest_that_fits"] >= 256
    assert found.fix == ()


def test_not_even_one_sample() -> None:
    found = result(limited(0))
    assert found.summary == "Not even one of the longest samples fits."
    assert weights(found)["sequence-too-long"] > 0 > weights(found)["batch-too-large"]


def test_one_sample_at_a_time() -> None:
    assert result(limited(0, own=1)).summary == "Not even one of the longest samples fits."
    found = result(limited(1, own=1))
    assert found.outcome is Outcome.PASSED
    assert found.measurements["largest_that_fits"] == 1


def test_the_longest_samples_decide() -> None:
    short, long = targets.pairs(1, 16)[0], targets.pairs(1, 16)[0]
    batches = [short, (long[0].repeat(1, 4), long[1])]
    target = targets.healthy(
        model=Limited(16 * 20, torch.OutOfMemoryError("out of memory")), batches=batches
    )
    found = result(target)
    assert "the largest that fits is 4" in found.summary
    assert weights(found)["sequence-too-long"] > 0 < weights(found)["batch-too-large"]


def test_on_a_cpu_it_stops_at_half_of_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "available", lambda device: 2**20)
    found = result(targets.healthy())
    assert found.outcome is Outcome.PASSED
    assert 0 < found.measurements["bytes_at_largest"] <= 2**19
    assert any("half of the memory" in note for note in found.notes)


def test_a_model_that_refuses_another_size_is_no_lack_of_memory() -> None:
    class Fixed(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if len(x) > 16:
                raise ValueError("16 at most")
            return super().forward(x)

    found = result(targets.healthy(model=Fixed(20, 10)))
    assert found.outcome is Outcome.PASSED
    assert found.measurements["largest_that_fits"] == 16
    assert any("16 at most" in note for note in found.notes)


def test_accumulation_is_counted() -> None:
    found = result(limited(12, accumulation=3))
    assert found.fix[0].endswith("gradient accumulation 3 -> 12 (the effective batch: 96 -> 96)")


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_out_of_memory(ValueError("out of memory"))


@pytest.mark.parametrize(
    ("effective", "most", "expected"),
    [(32, 12, (8, 4)), (32, 40, (32, 1)), (31, 10, (8, 4)), (7, 1, (1, 7)), (96, 10, (8, 12))],
)
def test_the_effective_batch_is_kept(effective: int, most: int, expected: tuple[int, int]) -> None:
    assert split(effective, most) == expected


def test_bytes_are_readable() -> None:
    assert [readable(n) for n in (12, 1536, 3 * 2**20, 80 * 2**30)] == [
        "12 B", "1.5 KiB", "3 MiB", "80 GiB",
    ]  # fmt: skip


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_real_lack_of_memory_is_found_and_given_back() -> None:
    model = nn.Sequential(nn.Linear(20, 2**18), nn.ReLU(), nn.Linear(2**18, targets.CLASSES))
    before = torch.cuda.memory_allocated()
    (found,) = probe(targets.healthy(model=model), ["batch"], device="cuda", seconds=60).results
    assert found.restored.identical, found.restored.changed
    assert found.measurements["smallest_that_does_not"] > found.measurements["largest_that_fits"]
    gc.collect()
    assert torch.cuda.memory_allocated() <= before + 2**20
