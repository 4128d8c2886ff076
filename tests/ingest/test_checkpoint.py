import pytest

import loganalyze as la
from loganalyze.ingest.checkpoint import INGESTER
from loganalyze.signals.checkpoints import checkpoints

LOG = "".join(f"{{'loss': {3 - i / 10}, 'step': {10 * i}}}\n" for i in range(1, 21))


@pytest.mark.parametrize(
    ("folder", "name", "claimed"),
    [
        ("checkpoint-500", "model.safetensors", True),
        ("checkpoint-500", "pytorch_model-00001-of-00003.bin", True),
        ("checkpoint-500", "pytorch_model-00002-of-00003.bin", False),
        ("checkpoint-500", "optimizer.pt", False),
        ("out", "step_360.pt", True),
        ("out", "epoch=3-step=1200.ckpt", True),
        ("out", "model.safetensors", False),
        ("out", "best.pt", False),
    ],
)
def test_weights_are_known_by_their_names(tmp_path, folder, name, claimed) -> None:
    assert INGESTER.claims(tmp_path / folder / name, b"\x80") is claimed


def test_a_run_lists_its_checkpoints_and_opens_none(tmp_path) -> None:
    (tmp_path / "train.log").write_text(LOG)
    for step in (100, 50):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"not weights at all")
    (tmp_path / "ckpt_150.pt").write_bytes(b"\x80\x04cposix\nsystem\n")
    run = la.load(tmp_path)
    assert [(c.step, c.name) for c in checkpoints(run)] == [
        (50, "checkpoint-50"),
        (100, "checkpoint-100"),
        (150, "ckpt_150.pt"),
    ]
    assert len(run.series("train/loss")) == 20
    assert not run.others


def test_weights_alone_are_no_run(tmp_path) -> None:
    (tmp_path / "step_1.pt").write_bytes(b"weights")
    with pytest.raises(la.NothingReadable):
        la.load(tmp_path)
