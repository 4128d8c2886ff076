import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import loganalyze as la
from loganalyze.ingest.tensorboard import read
from loganalyze.ingest.tf_windows import WINDOW_BYTES
from loganalyze.ingest.tfrecord import masked_crc

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def torch_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from torch.utils.tensorboard import SummaryWriter

    folder = tmp_path_factory.mktemp("torch")
    with SummaryWriter(str(folder)) as writer:
        for step in range(1, 301):
            writer.add_scalar("train/loss", 2.0 / step, step)
            writer.add_scalar("eval/loss", float("nan") if step == 200 else 3.0 / step, step)
        writer.add_histogram("weights", np.arange(1000.0), 300)
        writer.add_image("picture", np.zeros((3, 64, 64)), 300)
    return next(folder.iterdir())


def test_every_point_of_torch_s_writer_is_read_as_tensorboard_reads_it(torch_file: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = la.load(torch_file)
    oracle = EventAccumulator(str(torch_file), size_guidance={"scalars": 0}).Reload()
    for tag in ("train/loss", "eval/loss"):
        events = oracle.Scalars(tag)
        series = run.series(tag)
        assert series.step.tolist() == [event.step for event in events]
        np.testing.assert_array_equal(series.value, [event.value for event in events])
        np.testing.assert_array_equal(series.time, [event.wall_time for event in events])
    assert run.sources[0].problems == ()


def test_more_than_ten_thousand_points_of_a_tag_are_kept(tmp_path: Path) -> None:
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        for step in range(12_000):
            writer.add_scalar("loss", float(step), step)
    series = la.load(tmp_path).series("train/loss")
    assert len(series) == 12_000
    assert series.value[-1] == 11_999


@pytest.mark.parametrize("style", [{}, {"new_style": True}, {"double_precision": True}])
def test_steps_of_every_length_are_read_as_tensorboard_reads_them(
    tmp_path: Path, style: dict
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray
    from torch.utils.tensorboard import SummaryWriter

    steps = [*range(200), *range(16_300, 16_500), *range(2**21 - 90, 2**21 + 90), 2**40]
    with SummaryWriter(str(tmp_path)) as writer:
        for step in steps:
            for tag in ("train/loss", "train/grad_norm", "lr"):
                writer.add_scalar(tag, np.float64(np.sin(step)), step, **style)
            if step % 50 == 0:
                writer.add_text("note", "x" * (step % 7), step)
                writer.add_scalar("eval/loss", np.float64(step / 3), step, **style)
    (table,) = read(next(tmp_path.iterdir()), tmp_path)
    oracle = EventAccumulator(
        str(next(tmp_path.iterdir())), size_guidance={"scalars": 0, "tensors": 0}
    ).Reload()
    assert table.problems == ()
    for tag in ("train/loss", "train/grad_norm", "lr", "eval/loss"):
        if tag in oracle.Tags()["tensors"]:
            events = oracle.Tensors(tag)
            values = [make_ndarray(event.tensor_proto).item() for event in events]
        else:
            events = oracle.Scalars(tag)
            values = [event.value for event in events]
        rows = table.metrics[table.metrics["name"] == tag]
        assert rows["step"].tolist() == [event.step for event in events]
        assert rows["value"].tolist() == values
        assert rows["time"].tolist() == [event.wall_time for event in events]


def write_events(path: Path, summaries: list) -> None:
    """Write events as TensorFlow does, with TensorBoard's own messages and record writer."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    with path.open("wb") as file:
        writer = RecordWriter(file)
        writer.write(Event(wall_time=1.0, file_version="brain.Event:2").SerializeToString())
        for step, summary in enumerate(summaries, start=1):
            writer.write(
                Event(wall_time=1.0 + step, step=step, summary=summary).SerializeToString()
            )


def test_tensor_encoded_scalars_of_keras_are_read(tmp_path: Path) -> None:
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.util.tensor_util import make_tensor_proto

    def scalar(tag: str, value: float, kind: type) -> Summary:
        tensor = make_tensor_proto(np.asarray(value, kind))
        return Summary(value=[Summary.Value(tag=tag, tensor=tensor)])

    for split, base in (("train", 1.0), ("validation", 2.0)):
        (tmp_path / split).mkdir()
        events = [scalar("epoch_loss", base / step, np.float32) for step in range(1, 6)]
        events.append(scalar("epoch_loss", 9.0, np.float64))
        write_events(tmp_path / split / "events.out.tfevents.1.host", events)
    run = la.load(tmp_path)
    assert run.others == ()
    assert run.series("train/loss").value.tolist() == pytest.approx(
        [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 9], rel=1e-6
    )
    assert run.series("eval/loss").value[0] == 2.0
    assert run.framework == "keras"


def test_several_values_in_one_summary_are_all_read(tmp_path: Path) -> None:
    from tensorboard.compat.proto.summary_pb2 import Summary

    both = Summary(
        value=[
            Summary.Value(tag="loss", simple_value=1.5),
            Summary.Value(tag="lr", simple_value=0.25),
        ]
    )
    write_events(tmp_path / "events.out.tfevents.1.host", [both])
    run = la.load(tmp_path)
    assert run.series("train/loss").value.tolist() == [1.5]
    assert run.series("train/learning_rate").value.tolist() == [0.25]


def test_a_restart_in_a_second_file_supersedes_what_it_logs_again(tmp_path: Path) -> None:
    from tensorboard.compat.proto.summary_pb2 import Summary

    def losses(values):
        return [Summary(value=[Summary.Value(tag="loss", simple_value=v)]) for v in values]

    write_events(tmp_path / "events.out.tfevents.1.host", losses([5, 4, 3]))
    write_events(tmp_path / "events.out.tfevents.2.host", losses([5, 2]))
    run = la.load(tmp_path)
    assert len(run.metrics) == 5
    assert sorted(run.metrics["segment"].unique()) == [0, 1]
    assert run.series("train/loss").value.tolist() == [5, 2]


def test_the_trainer_s_arguments_in_the_text_plugin_are_config(tmp_path: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_text("args", '{"learning_rate": 5e-05, "max_grad_norm": 1.0, "fp16": false}')
        writer.add_text("model_config", '{"id2label": {"0": "a", "1": "b", "2": "c"}}')
        writer.add_scalar("train/loss", 1.0, 1)
        writer.add_scalar("train/train_loss", 7.0, 1)
        writer.add_scalar("train/train_runtime", 60.0, 1)
    run = la.load(tmp_path)
    assert run.number("learning_rate") == 5e-05
    assert run.number("num_classes") == 3
    assert run.flag("fp16") is False
    assert run.series("train/loss").value.tolist() == [1.0]  # the summary is no step
    assert run.framework == "hf-trainer"


def test_hparams_are_read_as_config(tmp_path: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_scalar("loss", 1.0, 1)
        writer.add_hparams({"lr": 0.5, "opt": "sgd"}, {"hp/score": 1.0}, run_name=".")
    run = la.load(tmp_path)
    assert run.number("learning_rate") == 0.5


def test_hparams_among_many_points_are_read_without_the_points(tmp_path: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        for step in range(200):
            writer.add_scalar("loss", 1.0, step)
        writer.add_hparams({"lr": 0.5, "layers": 4}, {}, run_name=".")
    files = sorted(tmp_path.iterdir())
    path = tmp_path / "events.out.tfevents.9.host"
    path.write_bytes(b"".join(file.read_bytes() for file in files) + b"cut")
    (table,) = read(path, path)
    assert {key: item.value for key, item in table.config.items()} == {"lr": 0.5, "layers": 4.0}
    assert table.config["lr"].where == "events.out.tfevents.9.host: hparams"
    assert len(table.metrics) == 200
    assert len(table.problems) == 1


def test_a_tag_of_the_hparams_plugin_without_hparams_says_nothing(tmp_path: Path) -> None:
    from tensorboard.compat.proto.summary_pb2 import Summary

    path = tmp_path / "events.out.tfevents.1.host"
    write_events(path, [Summary(value=[Summary.Value(tag="_hparams_/x", simple_value=1.0)])])
    (table,) = read(path, path)
    assert (dict(table.config), len(table.metrics), table.problems) == ({}, 0, ())


def test_texts_too_long_for_settings_are_left_out_and_told(tmp_path: Path) -> None:
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_text("args", '{"learning_rate": 0.5}')
        writer.add_text("model_config", "{" + "x" * 1_000_000 + "}")
        writer.add_text("samples", "y" * 1_000_000)  # no settings: of no interest
    path = next(tmp_path.iterdir())
    (table,) = read(path, path)
    assert table.config["learning_rate"].value == 0.5
    assert [problem.text for problem in table.problems] == [
        "settings over 1,000,000 bytes were left out (texts: 1)"
    ]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_large_payloads_take_no_memory(tmp_path: Path) -> None:
    from loganalyze.ingest.tfrecord import framed

    scalar = b"\x09" + bytes(8) + b"\x10\x01\x2a\x0d\x0a\x0b\x0a\x04loss\x15" + bytes(4)
    path = tmp_path / "events.out.tfevents.1.host"
    with path.open("wb") as file:
        for size in (100 << 20, 100 << 20, *[1 << 20] * 100):
            # Field 99, of length-type: its key, its length in five bytes, its bytes.
            length = bytes(size >> shift & 0x7F | 0x80 for shift in (0, 7, 14, 21)) + b"\0"
            file.write(framed(b"\x9a\x06" + length + bytes(size)))
            file.write(framed(scalar))
    script = """
import sys
from pathlib import Path
from loganalyze.ingest.tensorboard import read

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024

small, large = Path(sys.argv[1]), Path(sys.argv[2])
read(small, small)
before = peak()
(table,) = read(large, large)
print(len(table.metrics), len(table.problems), peak() - before)
"""
    small = tmp_path / "events.out.tfevents.0.host"
    small.write_bytes(framed(scalar) * 100)
    done = subprocess.run(
        [sys.executable, "-c", script, str(small), str(path)],
        capture_output=True, text=True, check=True, cwd=Path(la.__file__).parents[1],
    )  # fmt: skip
    points, problems, more = map(int, done.stdout.split())
    assert (points, problems) == (102, 0)
    assert more < 2 * WINDOW_BYTES  # of a file of 300 MB


@pytest.mark.parametrize("cut", [1, 5, 11, 13, 17, 40])
def test_a_cut_off_file_keeps_what_precedes_the_cut(
    torch_file: Path, tmp_path: Path, cut: int
) -> None:
    data = torch_file.read_bytes()
    path = tmp_path / "events.out.tfevents.1.host"
    path.write_bytes(data[: len(data) // 2 + cut])
    run = la.load(path)
    series = run.series("train/loss")
    assert len(series) > 10
    np.testing.assert_allclose(series.value, 2.0 / series.step, rtol=1e-6)
    assert any("cut off" in problem.text for problem in run.sources[0].problems)


def test_a_flipped_bit_costs_one_record(torch_file: Path, tmp_path: Path) -> None:
    data = bytearray(torch_file.read_bytes())
    at = data.index(b"train/loss", 3000)
    data[at] ^= 1
    path = tmp_path / "events.out.tfevents.1.host"
    path.write_bytes(bytes(data))
    run = la.load(path)
    assert len(run.series("train/loss")) == 299
    assert any("checksum" in problem.text for problem in run.sources[0].problems)


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=1, max_size=400), st.booleans())
def test_any_bytes_become_problems_and_never_raise_more_than_value_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, framed: bool
) -> None:
    if framed:
        length = len(data).to_bytes(8, "little")
        data = b"".join(
            [length, masked_crc(length).to_bytes(4, "little"), data, masked_crc(data).to_bytes(4, "little")]
        )  # fmt: skip
    path = tmp_path_factory.mktemp("fuzz") / "events.out.tfevents.1.host"
    path.write_bytes(data)
    try:
        read(path, path)
    except ValueError:
        return
