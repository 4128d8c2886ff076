from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from loganalyze.finding import Outcome
from loganalyze.probe import ProbeTarget, probe, stopwatch, workers
from loganalyze.probe.workers import Loading
from loganalyze.probed import ProbeResult
from tests.probe import targets


class Time:
    """A clock that goes on only when something is done."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr(stopwatch, "now", made)
    # Time that passes in another process is not seen here.
    monkeypatch.setattr(workers, "COUNTS", (0,))
    return made


class Samples(Dataset[tuple[torch.Tensor, int]]):
    """Each takes a known time to read."""

    def __init__(self, time: Time, cost: float) -> None:
        self.time = time
        self.cost = cost

    def __len__(self) -> int:
        return 64

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        self.time.seconds += self.cost
        return torch.full((20,), float(index)), index % targets.CLASSES


class Slow(nn.Module):
    """Forward takes a known time."""

    def __init__(self, time: Time, cost: float) -> None:
        super().__init__()
        self.inner = targets.mlp()
        self.time = time
        self.cost = cost

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.time.seconds += self.cost
        return self.inner(x)


def result(target: ProbeTarget) -> ProbeResult:
    torch.set_num_threads(1)
    (found,) = probe(target, ["throughput"], seconds=60).results
    assert found.restored.identical, found.restored.changed
    return found


def weights(found: ProbeResult) -> dict[str, float]:
    total: dict[str, float] = {}
    for one in found.evidence:
        total[one.cause] = total.get(one.cause, 0.0) + one.weight
    return total


def read(time: Time, cost: float, size: int = 8) -> DataLoader[tuple[torch.Tensor, int]]:
    return DataLoader(Samples(time, cost), size, shuffle=True)


def test_a_model_that_waits_for_its_data(time: Time) -> None:
    found = result(targets.healthy(model=Slow(time, 0.1), batches=read(time, 0.05)))
    assert found.outcome is Outcome.FOUND
    assert "A step takes 500 ms (16 samples/s): waiting for data 80%, forward 20%" in found.summary
    assert "it takes 100 ms, 5.0 x as fast" in found.summary
    assert weights(found)["dataloader-bottleneck"] >= 3
    assert found.measurements["seconds_of_batch_0_workers"] == pytest.approx(0.4)
    assert found.fix == ("Cheaper or precomputed decoding: more workers do not read faster here",)


def test_a_model_whose_data_is_there(time: Time) -> None:
    found = result(targets.healthy(model=Slow(time, 1.0), batches=read(time, 0.001)))
    assert found.outcome is Outcome.PASSED, found.summary
    assert weights(found)["dataloader-bottleneck"] < 0
    assert found.measurements["seconds_forward"] == pytest.approx(1.0)
    assert found.measurements["seconds_of_step_on_one_batch"] == pytest.approx(1.0)


def test_handing_over_a_batch_is_no_wait(time: Time) -> None:
    found = result(targets.healthy(model=Slow(time, 0.0004), batches=read(time, 0.0001)))
    assert found.outcome is Outcome.PASSED, found.summary
    assert found.measurements["share_waiting_for_data"] > 0.5
    assert "dataloader-bottleneck" not in weights(found)


def test_a_list_says_nothing_of_reading(time: Time) -> None:
    found = result(targets.healthy(model=Slow(time, 1.0)))
    assert found.outcome is Outcome.PASSED
    assert "dataloader-bottleneck" not in weights(found)
    assert any("Give its DataLoader" in note for note in found.notes)


def test_a_function_that_reads_is_judged(time: Time) -> None:
    def batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for batch in targets.pairs():
            time.seconds += 2
            yield batch

    found = result(targets.healthy(model=Slow(time, 1.0), batches=batches))
    assert found.outcome is Outcome.FOUND
    assert found.fix == (
        "Read and decode batches in other processes: a DataLoader with num_workers",
    )


def test_tokens_are_counted_without_padding(time: Time) -> None:
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = targets.pools_at_the_last_real_token().model

        def forward(
            self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor
        ) -> dict[str, torch.Tensor]:
            time.seconds += 1
            return self.inner(input_ids, attention_mask, labels)

    texts = targets.texts()[:1]
    found = result(ProbeTarget(Reader(), texts)).measurements
    assert found["tokens_per_second"] == pytest.approx(int(texts[0]["attention_mask"].sum()))
    assert found["samples_per_second"] == pytest.approx(8)


def test_workers_read_as_many_batches_as_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "COUNTS", (0, 1))
    found = result(targets.healthy(batches=read(Time(), 0.0)))
    assert found.tables[0].columns == ("workers", "time of a batch")
    assert [row[0] for row in found.tables[0].rows] == [0, 1]


def test_workers_that_fail_are_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Samples):
        def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
            if torch.utils.data.get_worker_info() is not None:
                raise ValueError("no handle in this process")
            return super().__getitem__(index)

    monkeypatch.setattr(workers, "COUNTS", (0, 1))
    found = result(targets.healthy(batches=DataLoader(Broken(Time(), 0.0), 8)))
    assert any("with more workers: ValueError" in note for note in found.notes)
    assert [row[0] for row in found.tables[0].rows] == [0]


def test_the_fewest_workers_that_keep_up() -> None:
    found = Loading(0, {0: 0.4, 1: 0.42, 2: 0.21, 4: 0.11})
    assert found.enough(0.25) == 2
    assert found.enough(0.05) is None
    assert found.fastest == 4


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_work_is_counted_where_it_is_done() -> None:
    model = nn.Sequential(nn.Linear(20, 4096), nn.Linear(4096, 4096), nn.Linear(4096, 10))
    (found,) = probe(
        targets.healthy(model=model), ["throughput"], device="cuda", seconds=60
    ).results
    assert found.restored.identical, found.restored.changed
    assert found.measurements["seconds_backward"] > 0
