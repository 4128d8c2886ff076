"""Make the sample runs again: ``python sample_logs/generate.py [NAME ...] [--out DIR]``.

Every sample but the two ``report-*`` ones is a real training on the CPU, of a small model made
from a configuration, with a fixed seed; nothing is downloaded. Curves come out the same on the
same versions of PyTorch and Transformers; times of day do not. Needs the ``test`` extra.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import re
import shutil
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
SEED = 20
CLASSES = 10
FEATURES = 64
EXPERIMENT, RUN = "395607685423922673", "ee2a0ce2d22048e482ad4a3f8e3d34b5"
SAMPLES: dict[str, Callable[[], None]] = {}


def sample(name: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Register a function that fills the current directory with the run `name`."""

    def register(make: Callable[[], None]) -> Callable[[], None]:
        SAMPLES[name] = make
        return make

    return register


# Hugging Face Trainer: which of `classes` groups of tokens fills a sentence?

VOCABULARY, LENGTH, WIDTH = 400, 24, 64


class Sentences(torch.utils.data.Dataset[dict[str, Tensor]]):
    """Sentences of random tokens; a third of them come from the label's own group."""

    def __init__(self, count: int, classes: int, *, seed: int, noise: float = 0.05) -> None:
        draw = np.random.default_rng(seed)
        labels = draw.integers(0, classes, count)
        words = draw.integers(2, VOCABULARY, (count, LENGTH))
        own = 2 + labels[:, None] * 8 + draw.integers(0, 8, (count, LENGTH))
        words = np.where(draw.random((count, LENGTH)) < 1 / 3, own, words)
        wrong = draw.random(count) < noise
        self.words = torch.tensor(words)
        self.labels = torch.tensor(np.where(wrong, draw.integers(0, classes, count), labels))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"input_ids": self.words[index], "labels": self.labels[index]}


class Embedded(torch.utils.data.Dataset[dict[str, Tensor]]):
    """The same sentences as ready vectors, of which a few hold a NaN."""

    def __init__(self, sentences: Sentences, *, broken: range) -> None:
        self.sentences, self.broken = sentences, broken
        self.table = torch.randn(VOCABULARY, WIDTH, generator=torch.Generator().manual_seed(1))

    def __len__(self) -> int:
        return len(self.sentences)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        vectors = self.table[self.sentences.words[index]].clone()
        if index in self.broken:
            vectors[0, 0] = math.nan
        return {"inputs_embeds": vectors, "labels": self.sentences.labels[index]}


def bert(classes: int) -> nn.Module:
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(SEED)
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=LENGTH,
        initializer_range=0.1,
        num_labels=classes,
    )
    config.save_pretrained(".")
    return BertForSequenceClassification(config)


def hugging_face(
    *, classes: int, train: Any, evaluation: Any, tensorboard: bool = True, **arguments: Any
) -> None:
    """Train with the stock Trainer; of its checkpoints only the last state is kept."""
    from transformers import Trainer, TrainingArguments

    os.environ["TENSORBOARD_LOGGING_DIR"] = "runs"
    settings: dict[str, Any] = {
        "output_dir": ".",
        "per_device_train_batch_size": 32,
        "per_device_eval_batch_size": 64,
        "learning_rate": 5e-4,
        "logging_steps": 5,
        "eval_strategy": "steps",
        "eval_steps": 100,
        "save_strategy": "no",
        "seed": SEED,
        "use_cpu": True,
        "disable_tqdm": True,
        "report_to": ["tensorboard"] if tensorboard else [],
        **arguments,
    }
    trainer = Trainer(
        model=bert(classes),
        args=TrainingArguments(**settings),
        train_dataset=train,
        eval_dataset=evaluation,
        compute_metrics=accuracy,
    )
    trainer.train()
    trainer.save_state()


def accuracy(prediction: Any) -> dict[str, float]:
    return {"accuracy": float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}


@sample("healthy-hf")
def healthy_hf() -> None:
    hugging_face(
        classes=12,
        train=Sentences(25_600, 12, seed=1),
        evaluation=Sentences(1_000, 12, seed=2),
        max_steps=800,
        warmup_steps=40,
        max_grad_norm=5.0,
    )


@sample("warmup-too-long")
def warmup_too_long() -> None:
    hugging_face(
        classes=12,
        train=Sentences(25_600, 12, seed=1),
        evaluation=Sentences(1_000, 12, seed=2),
        max_steps=500,
        warmup_steps=400,
        learning_rate=2e-4,
        max_grad_norm=5.0,
    )


@sample("loss-summed")
def loss_summed() -> None:
    """Transformers 5 adds up this model's loss over the accumulation steps: it takes no average."""
    hugging_face(
        classes=20,
        train=Sentences(25_600, 20, seed=1),
        evaluation=Sentences(1_000, 20, seed=2),
        max_steps=300,
        warmup_steps=10,
        per_device_train_batch_size=8,
        gradient_accumulation_steps=8,
        logging_first_step=True,
        eval_on_start=True,
        eval_steps=50,
    )


@sample("nan-filtered")
def nan_filtered() -> None:
    """Weights become NaN at the first bad batch; the Trainer's filter then logs 0.0."""
    sentences = Sentences(12_800, 12, seed=1)
    hugging_face(
        classes=12,
        train=Embedded(sentences, broken=range(3_000, 3_003)),
        evaluation=Embedded(Sentences(500, 12, seed=2), broken=range(0)),
        max_steps=400,
        warmup_steps=20,
        tensorboard=False,
    )


# Plain loops: handwritten digits, noisy, in 8 x 8 pixels.


class Digits:
    """The digits that come with scikit-learn, with noise added anew to every batch."""

    def __init__(self, *, noise: float = 0.35, keep: int | None = None) -> None:
        """With `keep`, train on so many images, whose noise then stays the same."""
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
        order = np.random.default_rng(SEED).permutation(len(labels))
        self.x = torch.tensor(images[order] / 16.0, dtype=torch.float32)
        self.y = torch.tensor(labels[order])
        self.draw = torch.Generator().manual_seed(SEED)
        self.noise = noise
        self.train = keep or 1_400
        self.fresh_noise = 0.0 if keep else noise
        if keep:
            self.x[:keep] += noise * torch.randn(self.x[:keep].shape, generator=self.draw)

    def batch(self, size: int = 32) -> tuple[Tensor, Tensor]:
        chosen = torch.randint(0, self.train, (size,), generator=self.draw)
        x = self.x[chosen]
        return x + self.fresh_noise * torch.randn(x.shape, generator=self.draw), self.y[chosen]

    def held_out(self) -> tuple[Tensor, Tensor]:
        x, fixed = self.x[1_400:], torch.Generator().manual_seed(SEED + 1)
        return x + self.noise * torch.randn(x.shape, generator=fixed), self.y[1_400:]


class Loop:
    """A training loop as people write it: AdamW, warmup, cosine, clipping."""

    def __init__(
        self,
        *,
        steps: int,
        lr: float = 2e-3,
        clip: float = 1.0,
        width: int = 128,
        decay: float = 0.01,
    ) -> None:
        torch.manual_seed(SEED)
        self.steps, self.lr, self.clip = steps, lr, clip
        self.warmup = max(1, steps // 20)
        self.model = nn.Sequential(nn.Linear(FEATURES, width), nn.ReLU(), nn.Linear(width, CLASSES))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=lr, weight_decay=decay)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self.share)

    def share(self, step: int) -> float:
        if step < self.warmup:
            return (step + 1) / self.warmup
        done = (step - self.warmup) / (self.steps - self.warmup)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    def step(self, x: Tensor, y: Tensor) -> dict[str, float]:
        self.model.train()
        loss = nn.functional.cross_entropy(self.model(x), y)
        self.optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        used = self.schedule.get_last_lr()[0]
        self.optimizer.step()
        self.schedule.step()
        return {"loss": loss.item(), "grad_norm": norm.item(), "lr": used}

    @torch.no_grad()
    def evaluate(self, x: Tensor, y: Tensor) -> dict[str, float]:
        self.model.eval()
        logits = self.model(x)
        right = (logits.argmax(-1) == y).float().mean().item()
        return {"loss": nn.functional.cross_entropy(logits, y).item(), "accuracy": right}

    def settings(self) -> dict[str, Any]:
        return {
            "learning_rate": self.lr,
            "max_steps": self.steps,
            "warmup_steps": self.warmup,
            "gradient_clipping": self.clip,
            "batch_size": 32,
            "num_classes": CLASSES,
            "lr_scheduler_type": "cosine",
        }


@contextlib.contextmanager
def log_file(name: str = "train.log") -> Iterator[None]:
    with Path(name).open("w", buffering=1) as file, contextlib.redirect_stdout(file):
        yield


def write_settings(values: dict[str, Any], name: str = "training.yml") -> None:
    Path(name).write_text(yaml.safe_dump(values, sort_keys=False), "utf-8")


@sample("healthy-pytorch")
def healthy_pytorch() -> None:
    """MLflow's file store and key=value lines, of the same numbers."""
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    from mlflow import MlflowClient

    loop, digits = Loop(steps=1_000), Digits()
    client = MlflowClient(tracking_uri=Path("mlruns").resolve().as_uri())
    experiment = client.create_experiment("digits")
    run = client.create_run(experiment, run_name="digits-mlp").info.run_id
    for key, value in loop.settings().items():
        client.log_param(run, key, value)
    with log_file():
        for step in range(1, loop.steps + 1):
            now = loop.step(*digits.batch())
            if step % 10 == 0:
                print(f"step={step} " + " ".join(f"{k}={v:.6g}" for k, v in now.items()))
                for key, value in now.items():
                    client.log_metric(run, f"train/{key}", value, step=step)
            if step % 100 == 0:
                held = loop.evaluate(*digits.held_out())
                print(
                    f"step={step} eval_loss={held['loss']:.6g} eval_accuracy={held['accuracy']:.4f}"
                )
                for key, value in held.items():
                    client.log_metric(run, f"eval/{key}", value, step=step)
    client.set_terminated(run)
    rename_store({experiment: EXPERIMENT, run: RUN})


def rename_store(names: dict[str, str]) -> None:
    """Give MLflow's random identifiers the same values every time."""
    for old, new in names.items():
        for meta in Path("mlruns").rglob("meta.yaml"):
            meta.write_text(meta.read_text("utf-8").replace(old, new), "utf-8")
        folder = next(Path("mlruns").rglob(old))
        folder.rename(folder.with_name(new))


class Source:
    """Batches of bytes from the standard library's own source; its last tenth is held out."""

    modules = ("argparse", "ast", "dataclasses", "doctest", "enum", "inspect", "subprocess")

    def __init__(self, length: int) -> None:
        folder = Path(os.__file__).parent
        data = b"".join((folder / f"{name}.py").read_bytes() for name in self.modules)
        text = torch.frombuffer(bytearray(data), dtype=torch.uint8).long()
        cut = len(text) * 9 // 10
        self.train, self.held_out, self.length = text[:cut], text[cut:], length
        self.draw = torch.Generator().manual_seed(SEED)

    def batch(self, text: Tensor) -> Tensor:
        first = torch.randint(0, len(text) - self.length, (16,), generator=self.draw)
        return torch.stack([text[i : i + self.length] for i in first.tolist()])

    @torch.no_grad()
    def mean_loss(self, model: nn.Module, text: Tensor) -> float:
        model.eval()
        batches = [self.batch(text) for _ in range(20)]
        losses = [model(ids, labels=ids).loss.item() for ids in batches]
        model.train()
        return float(np.mean(losses))


@sample("healthy-stdout")
def healthy_stdout() -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(SEED)
    length, steps, warmup, peak = 64, 1_000, 50, 1e-3
    source = Source(length)
    model = GPT2LMHeadModel(
        GPT2Config(vocab_size=256, n_positions=length, n_embd=96, n_layer=2, n_head=4)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak, weight_decay=0.1)

    def rate(step: int) -> float:
        if step < warmup:
            return peak * (step + 1) / warmup
        done = (step - warmup) / (steps - warmup)
        return peak * (0.1 + 0.45 * (1 + math.cos(math.pi * done)))

    with log_file():
        print(f"vocab_size = 256\nlearning_rate = {peak}\nwarmup_iters = {warmup}")
        print(f"max_iters = {steps}\ngrad_clip = 1.0")
        for step in range(steps + 1):
            if step % 100 == 0:
                train = source.mean_loss(model, source.train)
                held = source.mean_loss(model, source.held_out)
                print(f"step {step}: train loss {train:.4f}, val loss {held:.4f}")
            started = time.perf_counter()
            optimizer.param_groups[0]["lr"] = rate(step)
            ids = source.batch(source.train)
            loss = model(ids, labels=ids).loss
            optimizer.zero_grad()
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).item()
            optimizer.step()
            if step % 5 == 0:
                took = 1000 * (time.perf_counter() - started)
                print(
                    f"iter {step}: loss {loss.item():.4f}, time {took:.2f}ms, "
                    f"lr {rate(step):.3e}, grad_norm {norm:.4f}"
                )


def with_summary_writer(loop: Loop, digits: Digits, *, corrupt: int = 0, every: int = 100) -> None:
    from torch.utils.tensorboard import SummaryWriter

    write_settings(loop.settings())
    with SummaryWriter("tb") as writer:
        for step in range(1, loop.steps + 1):
            x, y = digits.batch()
            if step == corrupt:
                x, y = 6 * x, (y + 3) % CLASSES
            now = loop.step(x, y)
            writer.add_scalar("train/loss", now["loss"], step)
            writer.add_scalar("train/grad_norm", now["grad_norm"], step)
            writer.add_scalar("train/lr", now["lr"], step)
            if step % every == 0:
                for key, value in loop.evaluate(*digits.held_out()).items():
                    writer.add_scalar(f"eval/{key}", value, step)


@sample("spike")
def spike() -> None:
    """One batch, at step 430, is scaled by 6 and mislabelled."""
    with_summary_writer(Loop(steps=700), Digits(), corrupt=430)


@sample("overfit")
def overfit() -> None:
    """120 images, seen over and over by a model that is wide enough to know them by heart."""
    loop = Loop(steps=1_200, lr=2e-3, width=512, decay=0.0)
    with_summary_writer(loop, Digits(keep=120, noise=0.45), every=40)


def key_values(loop: Loop, batches: Iterator[tuple[Tensor, Tensor]], every: int = 5) -> None:
    print(" ".join(f"{key}={value}" for key, value in loop.settings().items()))
    for step, (x, y) in enumerate(batches, start=1):
        now = loop.step(x, y)
        if step % every == 0 or not math.isfinite(now["loss"]):
            values = " ".join(f"{key}={value:.6g}" for key, value in now.items())
            print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} INFO step={step} {values}")


@sample("nan-data")
def nan_data() -> None:
    """One pixel of one batch, the 261st, is NaN."""
    loop, digits = Loop(steps=400), Digits()

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(1, loop.steps + 1):
            x, y = digits.batch()
            if step == 261:
                x[7, 30] = math.nan
            yield x, y

    write_settings(loop.settings())
    with log_file():
        key_values(loop, batches())


@sample("plateau")
def plateau() -> None:
    """The labels are shuffled within each batch: there is nothing to learn."""
    loop, digits = Loop(steps=1_200), Digits()

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(loop.steps):
            x, y = digits.batch()
            yield x, y[torch.randperm(len(y), generator=digits.draw)]

    write_settings(loop.settings())
    with log_file():
        key_values(loop, batches())


def run_until_it_breaks(loop: Loop, batches: Iterator[tuple[Tensor, Tensor]]) -> None:
    write_settings(loop.settings())
    with log_file():
        try:
            key_values(loop, batches)
        except (IndexError, RuntimeError):
            print(traceback.format_exc(), end="")


@sample("crash")
def crash() -> None:
    """Batch 318 holds a label that is no class: an IndexError inside the loss."""
    loop, digits = Loop(steps=600), Digits()

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(1, loop.steps + 1):
            x, y = digits.batch()
            if step == 318:
                y[11] = CLASSES
            yield x, y

    run_until_it_breaks(loop, batches())


@sample("oom")
def oom() -> None:
    """Batch 206 is one document of 12 million tokens, and attention takes their square."""
    loop, digits = Loop(steps=500), Digits()

    def attend(x: Tensor) -> Tensor:
        scores = x @ x.T
        return torch.softmax(scores, -1) @ x

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(1, loop.steps + 1):
            x, y = digits.batch()
            yield (attend(x[:1].expand(12_000_000, -1)) if step == 206 else x), y

    run_until_it_breaks(loop, batches())


# Transcriptions of two reports of real runs, whose logs are lost but for these rows.


@sample("report-280-classes")
def report_280_classes() -> None:
    loss = (69.53, 69.25, 69.33, 69.20, 69.80, 69.71, 67.83, 68.18, 69.08, 69.67)
    norm = (196.35, 205.19, 207.80, 206.96, 209.51, 204.16, 203.12, 213.86, 203.22, 190.84)
    rate = ("1.28e-08", "2.71e-08", "4.14e-08", "5.57e-08", "7.00e-08", "8.42e-08", "9.85e-08",
            "1.13e-07", "1.27e-07", "1.41e-07")  # fmt: skip
    rows = [
        f"{f'Step {step}:':<8} loss={value:.2f}, grad_norm={gradient:.2f}, lr={lr}\n"
        for step, (value, gradient, lr) in enumerate(zip(loss, norm, rate, strict=True), start=1)
    ]
    rows.append("Step 20: loss=64.19, grad_norm=157.34, lr=2.84e-07\n")
    Path("train.log").write_text("".join(rows), "utf-8")
    write_settings({"num_labels": 280, **_REPORTED})


@sample("report-224-classes")
def report_224_classes() -> None:
    rows = ((10, 77.41, 1.28e-7), (100, 63.57, 1.41e-6), (200, 30.02, 2.84e-6),
            (300, 22.81, 4.27e-6), (500, 18.56, 7.14e-6))  # fmt: skip
    Path("train.log").write_text(
        "".join(f"Step {step}: loss={loss:.2f}, lr={lr:.2e}\n" for step, loss, lr in rows), "utf-8"
    )
    write_settings({"num_labels": 224, **_REPORTED})


_REPORTED = {
    "learning_rate": 1.0e-5,
    "warmup_ratio": 0.1,
    "gradient_clipping": 1.0,
    "max_steps": 7002,
}


# From a training's leavings to a sample: small, and without this machine's names.


def make(name: str, out: Path) -> None:
    """Run one sample in a directory of its own and put what it logged into `out`."""
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        print(f"{name} ...", end=" ", flush=True, file=sys.stderr)
        started = time.perf_counter()
        torch.manual_seed(SEED)
        SAMPLES[name]()
        for number, path in enumerate(sorted(Path().rglob("events.out.tfevents.*"))):
            path.rename(path.with_name(f"events.out.tfevents.{1_700_000_000 + number}.sample.0"))
        for path in list(Path().rglob("*")):
            if path.is_file():
                clean(path, Path(scratch))
        target = out / name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(".", target)
        print(f"{time.perf_counter() - started:.0f} s", file=sys.stderr)


def clean(path: Path, scratch: Path) -> None:
    """Replace this machine's paths in a text, and refuse a file that names the machine."""
    data = path.read_bytes()
    if "tfevents" not in path.name:
        text = data.decode("utf-8")
        for folder, shown in ((scratch.resolve(), "."), (HERE, "."), (Path(sys.prefix), "venv")):
            text = text.replace(str(folder), shown)
        text = text.replace("file://.", ".")
        data = re.sub(r'(?<=File ")/[^"]*/lib/python', "/usr/lib/python", text).encode()
        path.write_bytes(data)
    for word in (str(scratch), str(HERE), str(Path.home()) + "/", socket.gethostname()):
        if word.encode() in data:
            raise RuntimeError(f"{path} holds {word!r}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="; ".join(SAMPLES))
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    os.environ.update({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"})
    torch.set_num_threads(1)
    for name in options.names or SAMPLES:
        make(name, options.out.resolve())


if __name__ == "__main__":
    main()
