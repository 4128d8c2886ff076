import math
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from loganalyze.ingest import load
from loganalyze.monitor.batch_diagnosis import diagnose_batch, write_batch
from loganalyze.monitor.batch_size import batch_size
from loganalyze.monitor.layers import SAMPLE, Layers, gradient_norm
from loganalyze.monitor.loss_watch import LossWatch, loss_of
from loganalyze.monitor.memory import memory
from loganalyze.monitor.quiet import Quiet
from loganalyze.monitor.throughput import Throughput
from loganalyze.monitor.trainable import parameter_counts


def stepped(width: int = 8) -> tuple[nn.Module, dict[str, float], float]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(width, width), nn.Linear(width, 2))
    optimizer, layers = (
        torch.optim.SGD(model.parameters(), lr=0.1),
        Layers(model.named_parameters()),
    )
    model(torch.randn(4, width)).square().mean().backward()
    layers.before_update()
    before = [weight.detach().clone() for weight in model.parameters()]
    optimizer.step()
    found = layers.after_update()
    moved = [
        ((w - b).norm() / b.norm()).item() for w, b in zip(model.parameters(), before, strict=True)
    ]
    names = ["L0", "L0.b", "L1", "L1.b"]
    for name, weight, ratio in zip(names, model.parameters(), moved, strict=True):
        assert found[f"layer_grad/{name}"] == pytest.approx(weight.grad.norm().item(), rel=1e-5)
        if weight.numel() <= SAMPLE:
            assert found[f"layer_ratio/{name}"] == pytest.approx(ratio, rel=1e-5)
    return model, found, layers.norm()


def test_norms_and_update_ratios_are_those_of_the_step():
    model, _, norm = stepped()
    whole = torch.nn.utils.clip_grad_norm_(model.parameters(), math.inf).item()
    assert norm == pytest.approx(whole, rel=1e-5)
    assert gradient_norm(model.parameters()).item() == pytest.approx(whole, rel=1e-5)


def test_of_a_large_layer_a_sample_is_enough():
    _, found, _ = stepped(width=300)
    assert 0 < found["layer_ratio/L0"] < 0.1


def test_frozen_layers_and_those_without_gradient_are_left_out():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    layers = Layers(model.named_parameters())
    layers.before_update()
    assert layers.after_update() == {}
    assert gradient_norm(model.parameters()) is None
    assert parameter_counts(model) == {"num_parameters": 12, "trainable_parameters": 6}


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("batch", "The batch holds values that are not finite: x."),
        ("parameters", "1 parameters are not finite"),
        ("gradients", "1 gradients are not: the backward pass overflows"),
        ("nothing", "the loss overflows where it is computed"),
    ],
)
def test_where_the_nan_is(tmp_path: Path, broken: str, says: str):
    model, x = nn.Linear(3, 1), torch.randn(4, 3)
    model(x).sum().backward()
    if broken == "batch":
        x[1, 2] = math.nan
    elif broken == "parameters":
        model.weight.data[0, 0] = math.inf
    elif broken == "gradients":
        model.bias.grad.fill_(math.nan)
    batch = {
        "x": x,
        "labels": torch.tensor([1, -100, 2, 3]),
        "text": ["a"],
        "empty": torch.zeros(0),
    }
    found = diagnose_batch(7, loss=math.nan, batch=batch, model=model, loss_scale=1024.0)
    assert says in found["says"]
    described = {entry["name"]: entry for entry in found["inputs"]}
    assert described["labels"]["lowest"] == -100
    assert described["x"]["nan"] == (broken == "batch")
    path = write_batch(tmp_path, found)
    assert path.name == "batch-000007.json"
    assert '"loss": "NaN"' in path.read_text()


def test_a_batch_diagnosis_is_not_read_as_settings_of_the_run(tmp_path: Path):
    (tmp_path / "train.log").write_text("".join(f"step {s} loss {2 / s}\n" for s in range(1, 30)))
    write_batch(tmp_path, diagnose_batch(7, loss=1.0, batch=torch.ones(2), model=nn.Linear(2, 2)))
    assert not load(tmp_path).config


def test_the_first_loss_that_is_no_number_is_kept_with_its_batch():
    watch = LossWatch()
    for step, value in enumerate([1.0, math.nan, math.inf, 2.0], 1):
        watch.hold(f"batch {step}")
        watch.saw(step, torch.tensor(value))
    found = watch.look(4)
    assert (found.step, found.batch, found.batch_step) == (2, "batch 2", 2)
    assert watch.look(4) is None


def test_a_loss_on_an_accelerator_waits_unread():
    class Remote(torch.Tensor):
        """Stands for a tensor whose value is not here yet."""

        @property
        def device(self):
            return torch.device("cuda")

    watch = LossWatch()
    for step, value in enumerate([1.0, math.nan, 3.0], 1):
        watch.hold(f"batch {step}")
        loss = torch.tensor(value).as_subclass(Remote)
        loss.__class__.__float__ = lambda self: pytest.fail("waited for the accelerator")
        loss.__class__.item = lambda self: pytest.fail("waited for the accelerator")
        watch.saw(step, loss)
    found = watch.look(3)
    assert (found.step, found.batch_step) == (2, 3), "the batch at hand is the newest one"


@pytest.mark.parametrize(
    "output",
    [
        torch.tensor(2.0),
        {"loss": torch.tensor(2.0)},
        (torch.tensor(2.0), 1),
        type("Out", (), {"loss": torch.tensor(2.0)})(),
    ],
)
def test_the_loss_in_what_a_model_returns(output):
    assert loss_of(output) == 2.0


@pytest.mark.parametrize("output", [torch.ones(3), {"logits": torch.ones(3)}, None, (), "text"])
def test_no_loss_in_it(output):
    assert loss_of(output) is None


def test_samples_and_tokens_of_a_batch():
    ids = torch.zeros(4, 7, dtype=torch.long)
    assert batch_size({"input_ids": ids, "labels": ids}) == (4, 28)
    assert batch_size((torch.zeros(5, 3), torch.zeros(5))) == (5, 0)
    assert batch_size({"text": ["a", "b"]}) == (0, 0)


def test_rates_are_those_since_the_last_call():
    now = [0.0]
    speed = Throughput(clock=lambda: now[0])
    for seconds in (1.0, 3.0):
        speed.begin()
        now[0] += seconds
        speed.end(samples=8)
        speed.tokens += 100
        now[0] += 50  # an evaluation
    assert speed.rates() == {
        "step_seconds": 2.0,
        "samples_per_second": 4.0,
        "tokens_per_second": 50.0,
    }
    assert speed.rates() == {}
    assert speed.summary()["seconds_in_steps"] == 4.0


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_memory_of_the_process():
    assert memory()["host/memory_rss"] > 1e7


def test_quiet_lets_the_end_of_the_process_through(caplog):
    quiet = Quiet("Something")
    for _ in range(3):
        with quiet:
            raise ValueError("x")
    assert quiet.failures == 3
    assert len(caplog.records) == 1
    with pytest.raises(KeyboardInterrupt), quiet:
        raise KeyboardInterrupt
