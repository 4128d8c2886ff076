"""Real trainings on a CPU: those with a planted fault are stopped soon after it, healthy ones never."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from loganalyze.ingest import load
from loganalyze.monitor import HFCallback, LightningCallback, Monitor
from loganalyze.monitor.recorder import LAYERS
from tests.monitor.tasks import FAULTS, ONSET, SAMPLES, Classifier, data

EVERY, STEPS, BATCH, RATE = 2, 240, 16, 5e-3
SOON = 10  # log points
EXPECTED = {
    "nan": {"loss-nonfinite", "grad-nonfinite"},
    "runaway": {"loss-divergence", "grad-explosion", "loss-spike"},
    "collapse": {"loss-zero", "grad-zero"},
    "scrambled": {"loss-divergence", "grad-explosion", "loss-spike"},
}


def plain(folder: Path, fault: str | None) -> tuple[int, Monitor]:
    torch.manual_seed(0)
    (x, y), model = data(), Classifier(FAULTS.get(fault))
    optimizer, order = (
        torch.optim.AdamW(model.parameters(), lr=RATE),
        torch.Generator().manual_seed(0),
    )
    step = 0
    with Monitor(
        folder / "monitor", planned_steps=STEPS, every=EVERY, stop_on="critical"
    ) as monitor:
        for step in range(1, STEPS + 1):
            rows = torch.randint(0, SAMPLES, (BATCH,), generator=order)
            loss = model(x[rows], y[rows])["loss"]
            optimizer.zero_grad()
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            if monitor.log(step, loss=loss, grad_norm=norm, lr=RATE):
                break
    return step, monitor


def hugging_face(folder: Path, fault: str | None) -> tuple[int, Monitor]:
    from transformers import Trainer, TrainingArguments

    torch.manual_seed(0)
    (x, y), callback = data(), HFCallback(stop_on="critical", layers_every=50)
    arguments = TrainingArguments(
        output_dir=str(folder), max_steps=STEPS, per_device_train_batch_size=BATCH, learning_rate=RATE,
        logging_steps=EVERY, report_to="none", use_cpu=True, disable_tqdm=True, save_strategy="no", seed=0,
        dataloader_pin_memory=False,
    )  # fmt: skip
    rows = [{"x": x[i], "labels": y[i]} for i in range(SAMPLES)]
    trainer = Trainer(
        model=Classifier(FAULTS.get(fault)),
        args=arguments,
        train_dataset=rows,
        callbacks=[callback],
    )
    trainer.train()
    return trainer.state.global_step, callback.monitor


def lightning(folder: Path, fault: str | None) -> tuple[int, Monitor]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own
        import lightning.pytorch as pl

        class Module(pl.LightningModule):
            def __init__(self) -> None:
                super().__init__()
                self.net = Classifier(FAULTS.get(fault))

            def training_step(self, batch, number):
                return self.net(*batch)["loss"]

            def configure_optimizers(self):
                return torch.optim.AdamW(self.parameters(), lr=RATE)

        torch.manual_seed(0)
        callback = LightningCallback(stop_on="critical", layers_every=50)
        trainer = pl.Trainer(
            max_steps=STEPS, default_root_dir=folder, callbacks=[callback], logger=False, accelerator="cpu",
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
            log_every_n_steps=EVERY,
        )  # fmt: skip
        trainer.fit(Module(), DataLoader(TensorDataset(*data()), batch_size=BATCH, shuffle=True))
    return trainer.global_step, callback.monitor


LOOPS = {"plain": plain, "hugging-face": hugging_face, "lightning": lightning}
Loop = Callable[[Path, str | None], tuple[int, Monitor]]


@pytest.mark.parametrize("fault", list(FAULTS))
@pytest.mark.parametrize("loop", list(LOOPS))
def test_a_fault_stops_the_training_soon(tmp_path: Path, loop: str, fault: str):
    step, monitor = LOOPS[loop](tmp_path, fault)
    assert ONSET <= step <= ONSET + SOON * EVERY
    assert monitor.stopped_by.id in EXPECTED[fault]
    assert monitor.stopped_by.id in {finding.id for finding in monitor.diagnosis.findings}
    run = load(tmp_path / "monitor")
    assert run.status.value == "completed", "its end is told"
    if loop != "plain" and fault == "nan":
        assert next((tmp_path / "monitor").glob("batch-*.json"), None) is not None


@pytest.mark.parametrize("loop", list(LOOPS))
def test_a_healthy_training_is_never_stopped(tmp_path: Path, loop: str):
    step, monitor = LOOPS[loop](tmp_path, None)
    assert step == STEPS
    assert monitor.stopped_by is None
    assert not [f for f in monitor.diagnosis.findings if f.severity.value == "critical"]
    run = load(tmp_path / "monitor")
    assert len(run.series("train/loss")) == STEPS // EVERY
    assert run.planned_steps == STEPS
    if loop != "plain":
        assert run.has("train/grad_norm")
        assert run.has("train/learning_rate")
        assert run.has("perf/samples_per_second")
        assert run.has("perf/step_seconds")
        assert run.number("trainable_parameters") == sum(
            w.numel() for w in Classifier().parameters()
        )
        assert (tmp_path / "monitor" / LAYERS).exists()
        ratios = [m for m in run.metrics["metric"].unique() if m.startswith("layer_ratio/")]
        assert len(ratios) == 4
        assert all(0 < run.series(ratio).value[-1] < 1 for ratio in ratios)
