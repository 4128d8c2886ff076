"""On a real accelerator; skipped without one."""

from __future__ import annotations

import pytest
import torch

from loganalyze.finding import Outcome
from loganalyze.probe import probe
from tests.probe import targets

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]
CHECKS = ["init", "gradients", "overfit", "nan", "data"]


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_model_is_probed_on_the_device_and_comes_back(precision: str) -> None:
    model = targets.mlp()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    model(torch.randn(4, 20)).sum().backward()
    optimizer.step()
    before = [(p.data_ptr(), p.device, p.detach().clone()) for p in model.parameters()]
    target = targets.healthy(model=model, optimizer=optimizer, precision=precision)
    for found in probe(target, CHECKS, device="cuda:0").results:
        assert found.outcome is Outcome.PASSED, (found.check, found.summary)
        assert found.restored.identical, found.restored.changed
    for p, (place, device, bits) in zip(model.parameters(), before, strict=True):
        assert (p.data_ptr(), p.device) == (place, device)
        assert torch.equal(p, bits)


def test_labels_out_of_range_do_not_end_the_process() -> None:
    batches = [(x, y + 3) for x, y in targets.pairs()]
    (found,) = probe(targets.healthy(batches=batches), ["init"], device="cuda:0").results
    assert "out of range" in found.summary
    assert torch.ones(2, device="cuda:0").sum().item() == 2  # the device still works


def test_half_precision_overflows_for_real() -> None:
    model = targets.mlp()
    with torch.no_grad():
        model[0].weight.fill_(6e4)
    target = targets.healthy(
        model=model, batches=[(x.abs(), y) for x, y in targets.pairs()], precision="fp16"
    )
    (found,) = probe(target, ["nan"], device="cuda:0").results
    assert "infinity comes out of 0 (Linear)" in found.summary
