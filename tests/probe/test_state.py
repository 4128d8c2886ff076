"""Whatever is done to a target, it is put back bit for bit."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from loganalyze.errors import UsageError
from loganalyze.probe import PROBES, ProbeTarget, probe, runner
from loganalyze.probe.clock import uninterrupted
from loganalyze.probe.probe import Probe
from loganalyze.probed import ProbeResult, Restored
from tests.probe import targets


class Odd(nn.Module):
    """Buffers that are replaced, plain tensors, counters, tied and frozen weights, NaN in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(20, 20)
        self.tied = nn.Linear(20, 20)
        self.tied.weight = self.first.weight
        self.norm = nn.BatchNorm1d(20)
        self.head = nn.Linear(20, 10)
        self.head.bias.requires_grad_(False)
        self.register_buffer("seen", torch.tensor([float("nan"), -0.0, 0.0]))
        self.calls = 0
        self.memory: list[torch.Tensor] = []
        self.last = torch.zeros(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.memory.append(x)
        self.seen = self.seen + 1
        self.last = x.detach()[0, :2]
        return self.head(self.norm(self.tied(self.first(x))))


def odd() -> ProbeTarget:
    torch.manual_seed(0)
    model = Odd()
    data = TensorDataset(torch.randn(64, 20), torch.randint(0, 10, (64,)))
    loader = DataLoader(data, 16, shuffle=True, generator=torch.Generator().manual_seed(3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer)
    model(torch.randn(8, 20)).sum().backward()
    optimizer.step()
    scheduler.step()
    return ProbeTarget(
        model, loader, nn.CrossEntropyLoss(), optimizer=optimizer, scheduler=scheduler
    )


def fingerprint(target: ProbeTarget) -> list[Any]:
    """Everything there is, by other means than the code under test."""
    model, optimizer = target.model, target.optimizer
    tensors = [*model.parameters(), *model.buffers(), *model.memory, model.last]
    tensors += [p.grad for p in model.parameters() if p.grad is not None]
    tensors += [v for s in optimizer.state.values() for v in s.values()]
    return [
        [(id(t), t.dtype, t.requires_grad, t.detach().numpy().tobytes()) for t in tensors],
        [p.grad is None for p in model.parameters()],
        [m.training for m in model.modules()],
        model.calls,
        [{k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups],
        {k: v for k, v in target.scheduler.state_dict().items() if k != "_get_lr_called_within_step"},
        target.batches.generator.get_state().tolist(),
        torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist(),  # noqa: NPY002
    ]  # fmt: skip


@pytest.mark.parametrize("check", [one.id for one in PROBES])
def test_every_check_leaves_everything_as_it_was(check: str) -> None:
    target = odd()
    before = fingerprint(target)
    (found,) = probe(target, [check], seconds=20).results
    assert found.restored.identical, found.restored.changed
    assert found.restored.tensors > 20
    assert found.restored.generators >= 8
    assert fingerprint(target) == before


def wreck(bench: Any) -> ProbeResult:
    """Do what no check does."""
    model, optimizer = bench.target.model, bench.target.optimizer
    model.half().eval()
    model.head = nn.Linear(20, 3)
    model.first.weight.requires_grad_(False)
    model.extra = 1
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    optimizer.param_groups[0]["lr"] = 7
    optimizer.add_param_group({"params": [nn.Parameter(torch.ones(1))]})
    optimizer.state.clear()
    model.memory.clear()
    torch.manual_seed(99)
    random.seed(99)
    np.random.seed(99)  # noqa: NPY002
    next(iter(bench.target.batches))
    torch.set_default_dtype(torch.float64)
    raise bench.target.keeps["error"]


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt()])
def test_a_check_that_wrecks_everything_and_fails_is_undone(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_probe", lambda name: Probe("wreck", "?", wreck))
    target = odd()
    target = ProbeTarget(**{**vars(target), "keeps": {"error": error}})
    before = fingerprint(target)
    if isinstance(error, KeyboardInterrupt):
        with pytest.raises(KeyboardInterrupt):
            probe(target, ["wreck"])
    else:
        (found,) = probe(target, ["wreck"]).results
        assert found.summary.startswith("RuntimeError: broken")
        assert found.restored == Restored(
            found.restored.tensors, found.restored.objects, found.restored.generators
        )
    assert fingerprint(target) == before


def test_what_cannot_be_put_back_is_named() -> None:
    proofs: list[Restored] = []
    target = odd()
    with runner.preserved(target, proofs) as kept:
        pass
    target.model.calls += 1
    with torch.no_grad():
        target.model.head.weight[0, 0] += 1
    assert proofs[0].identical
    assert set(kept.proof().changed) == {"model", "head.weight"}


def test_an_interrupt_waits_until_everything_is_back() -> None:
    import os
    import signal

    done = []

    def interrupted() -> None:
        with uninterrupted():
            os.kill(os.getpid(), signal.SIGINT)
            done.append(True)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done == [True]


def test_a_loader_in_the_middle_of_a_pass_goes_on_where_it_was() -> None:
    expected = [x.sum().item() for x, _ in odd().batches]
    target = odd()
    going = iter(target.batches)
    seen = [next(going)[0].sum().item()]
    probe(target, ["init"])
    assert [*seen, *(x.sum().item() for x, _ in going)] == expected


def test_the_place_in_a_list_is_kept_and_that_in_a_generator_is_told() -> None:
    listed = iter(targets.pairs())
    (found,) = probe(targets.healthy(batches=listed), ["init"]).results
    assert found.restored.remarks == ()
    assert len(list(listed)) == 5
    found, again = probe(
        targets.healthy(batches=(b for b in targets.pairs())), ["init", "nan"]
    ).results
    assert again.measurements["batches"] == 5
    assert "cannot be put back" in found.restored.remarks[0]


def test_no_batch_is_told_in_one_line() -> None:
    with pytest.raises(UsageError, match="has no batch"):
        probe(targets.healthy(batches=[]), ["init"])


def test_more_objects_than_are_looked_into_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from loganalyze.probe import state

    monkeypatch.setattr(state, "MOST_NODES", 10)
    proofs: list[Restored] = []
    with runner.preserved(odd(), proofs):
        pass
    assert proofs[0].remarks == ("Only the first 10 objects were compared; there are more.",)
