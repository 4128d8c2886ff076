"""On every file of a corpus of real logs, points and first and last values agree with a plain count."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import loganalyze as la
from loganalyze.ingest import load_all
from tests import naive_readers
from tests.naive_readers import Curves, same
from tests.test_corpus import CORPUS

pytestmark = pytest.mark.skipif(
    not CORPUS.is_dir(), reason="no corpus of real logs here (LOGANALYZE_CORPUS names one)"
)

AXES = {"step", "epoch", "iteration", "iter", "current_steps", "total_steps", "global_step"}
N = r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|nan|inf)"

# Of each family of printed logs: the files, the metric's name in them, and what a person would count.
# `at` parts the points (of those at one place the last counts); without it every line counts.
PRINTED = [
    ("allennlp/*", "loss", rf"\bloss\s+\|\s+(?P<loss>{N})\s+\|"),
    ("coqui-tts/*", "loss_1", rf"\| > loss_1: (?P<loss>{N})"),
    ("custom/Elluito*", "Train loss", rf"Train Epoch .*Train loss (?P<loss>{N})"),
    ("custom/OrderLab*", "", rf"'Epoch': (?P<at>\d+), 'loss': (?P<loss>{N})"),
    (
        "custom/abh*linear*",
        "",
        rf"Epoch\[(?P<at>\d+)\] - Iter: \[(?P<at2>\d+)/.*?Loss (?P<loss>{N})",
    ),
    ("custom/abh*checkpoints~train*", "Loss", rf"Epoch: \[\d+\]\[\d+\].*?Loss (?P<loss>{N})"),
    ("custom/*cchen*", "", rf"Loss=(?P<loss>{N})"),
    ("custom/*xiaotudui*", "", rf"训练次数\uff1a\d+, Loss\uff1a(?P<loss>{N})"),
    ("deepspeed/*", "", rf"'loss': (?P<loss>{N})"),
    ("espnet/*", "", rf"epoch:train:.* loss=(?P<loss>{N})"),
    ("fairseq/*", "", rf"\| epoch \d+ \| loss (?P<loss>{N})"),
    ("flair/*", "loss", rf"(?:epoch \d+ - iter \d+/\d+ - |EPOCH \d+ done: )loss (?P<loss>{N})"),
    ("hf-dict/tsebaka*", "", rf"\{{'loss': (?P<loss>{N})"),
    ("hf-dict/Baar*", "Train loss", rf"Train loss: (?P<loss>{N})"),
    ("keras/*joshua*", "loss", rf"step - loss: (?P<loss>{N})"),
    ("keras/shin*", "loss", rf" - loss: (?P<loss>{N})"),
    ("llama-factory/Chev*", "loss", rf"\{{'loss': (?P<loss>{N})"),
    ("llama-factory/hyk*", "loss", rf'"loss": (?P<loss>{N})'),
    ("llm.c/*", "trl", rf"trl:(?P<loss>{N})"),
    ("megatron/*epfLLM*", "lm loss", rf"lm loss: (?P<loss>{N})"),
    ("mmcv/*", "loss", rf", loss: (?P<loss>{N})"),
    ("modded-nanogpt/*", "train_loss", rf"step:\d+/\d+ train_loss:(?P<loss>{N})"),
    ("nanochat/*speedrun*", "loss", rf"step \d+/\d+ .*?\| loss: (?P<loss>{N})"),
    ("nanochat/*024018*", "loss", rf"step \d+/\d+ .*?\| loss: (?P<loss>{N})"),
    ("nanochat/*183235*", "loss", rf"step \d+ .*?\| loss: (?P<loss>{N})"),
    ("nanochat/*185049*", "Training loss", rf"Training loss: (?P<loss>{N})"),
    ("nb-custom/mlc*", "Train-loss", rf"Train-loss=(?P<loss>{N})"),
    ("nb-hf-dict/*", "loss", rf"\{{'loss': (?P<loss>{N})"),
    ("nb-mmcv/*", "loss", rf", loss: (?P<loss>{N})"),
    ("paddle/hutu*", "loss", rf"\bloss: (?P<loss>{N})"),
    ("sb3-rl/*", "loss", rf"\|    loss +\| (?P<loss>{N})"),
    ("sb2-rl/*", "value_loss", rf"value_loss +\| (?P<loss>{N})"),
    ("torchtitan/*2389*", "", rf"step: +(?P<at>\d+)  loss: +(?P<loss>{N})"),
    ("torchtitan/*3393*", "", rf"rank0\].*step: +\d+  loss: +(?P<loss>{N})"),
    ("tpu-mlperf/*", "eval_accuracy", rf'eval_accuracy: \{{"value": (?P<loss>{N})'),
    ("tqdm-generic/Ell*", "Train loss", rf"Train loss (?P<loss>{N})"),
    ("tqdm-generic/yuki*", "train loss", rf"train loss = (?P<loss>{N})"),
    ("ultralytics/*21765*", "train/box_loss", rf"^ +\d+/\d+ +{N}G +(?P<loss>{N})"),
]


def found(pattern: str) -> list[Path]:
    return (
        [path for path in sorted(CORPUS.glob(pattern)) if path.is_file()] if CORPUS.is_dir() else []
    )


def is_here(path: Path) -> bool:
    with path.open("rb") as file:
        return (
            file.read(20).startswith((b"{", b"[")) if path.suffix == ".json" else bool(file.read(1))
        )


def ident(path: Path) -> str:
    return path.relative_to(CORPUS).as_posix()


def compare(path: Path, theirs: Curves) -> None:
    metrics = la.load(path).metrics
    names = metrics["name"].astype(str).to_numpy()
    values = metrics["value"].to_numpy()
    wrong = {
        name: (values[names == name].tolist()[:2], curve[:2])
        for name, curve in theirs.items()
        if name.strip() not in AXES and not same(values[names == name], curve)
    }
    assert wrong == {}


@pytest.mark.parametrize(
    "path", [path for path in found("trainer_state/**/*.json") if is_here(path)], ids=ident
)
def test_trainer_states(path: Path) -> None:
    theirs = naive_readers.trainer_state(path)
    if theirs:
        compare(path, theirs)


@pytest.mark.parametrize(
    "path", [path for path in found("**/*tfevents*") if is_here(path)], ids=ident
)
@pytest.mark.filterwarnings("ignore")  # of TensorBoard's own reader
def test_event_files(path: Path) -> None:
    theirs = naive_readers.event_file(path)
    if theirs:
        compare(path, theirs)


@pytest.mark.parametrize("path", found("mlflow/**/meta.yaml"), ids=ident)
def test_mlflow_folders(path: Path) -> None:
    folder = path.parent / "metrics"
    if not folder.is_dir() or "lifecycle_stage: deleted" in path.read_text():
        return
    theirs = naive_readers.mlflow_metrics(folder)
    if theirs:
        compare(path.parent, theirs)


@pytest.mark.parametrize("path", found("mlflow/**/*.db"), ids=ident)
def test_mlflow_databases(path: Path) -> None:
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as connection:
        rows = connection.execute(
            "select count(*) from metrics m join runs r on r.run_uuid = m.run_uuid "
            "where r.lifecycle_stage = 'active'"
        )
        (count,) = rows.fetchone()
    if count:
        assert sum(len(run.metrics) for run in load_all(path)) == count


@pytest.mark.parametrize("path", found("**/*.csv"), ids=ident)
def test_tables(path: Path) -> None:
    compare(path, naive_readers.table(path))


@pytest.mark.parametrize("path", found("stdout/json_history/*output~metrics.json"), ids=ident)
def test_json_lines(path: Path) -> None:
    theirs = naive_readers.json_lines(path)
    if "total_loss" in theirs:
        compare(path, {"total_loss": theirs["total_loss"], "lr": theirs["lr"]})


@pytest.mark.parametrize(
    ("path", "name", "pattern"),
    [(path, name, like) for glob, name, like in PRINTED for path in found(f"stdout/{glob}")],
    ids=lambda value: ident(value) if isinstance(value, Path) else "",
)
def test_printed_logs(path: Path, name: str, pattern: str) -> None:
    run = la.load(path)
    if name:
        ours = run.metrics["value"][run.metrics["name"] == name].tolist()
    else:
        ours = run.series("train/loss").value.tolist()
    theirs = naive_readers.matches(path, pattern)
    assert theirs
    assert same(ours, theirs), (
        len(ours),
        ours[:1],
        ours[-1:],
        len(theirs),
        theirs[:1],
        theirs[-1:],
    )


@pytest.mark.parametrize("path", found("stdout/megatron/*bigscience*"), ids=ident)
def test_a_loss_that_megatron_leaves_out_is_not_a_number(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if "number of nan iterations:" in line]
    assert not any("lm loss" in line for line in lines)
    loss = la.load(path).series("train/loss")
    assert len(loss) == len(lines)
    assert (loss.value != loss.value).all()
