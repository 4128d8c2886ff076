from pathlib import Path

import pytest

import loganalyze as la
from loganalyze.run import EventKind, Status

TRACEBACK = """Traceback (most recent call last):
  File "/home/me/train.py", line 12, in <module>
    main()
  File "/home/me/train.py", line 9, in main
    loss = model(x)
  File "/usr/lib/python3/site-packages/torch/nn/module.py", line 1500, in _call
    return forward(x)
ValueError: shapes do not match
"""


def events(tmp_path: Path, text: str):
    path = tmp_path / "train.log"
    path.write_text(text)
    return la.load(path).events


def test_a_traceback_names_exception_message_and_the_user_s_own_frame(tmp_path: Path) -> None:
    (event,) = events(tmp_path, f"step 7 loss=1.0\n{TRACEBACK}")
    assert event.kind is EventKind.TRACEBACK
    assert event.data == {
        "exception": "ValueError",
        "message": "shapes do not match",
        "frame": "train.py:9 in main",
    }
    assert event.step == 7
    assert event.where.row == 2


def test_training_that_goes_on_after_a_traceback_is_read(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    path.write_text(f"step 1 loss=3.0\n{TRACEBACK}step 2 loss=2.0\n")
    assert la.load(path).series("train/loss").step.tolist() == [1, 2]


def test_a_chain_is_one_event_and_two_tracebacks_are_two(tmp_path: Path) -> None:
    between = "\nDuring handling of the above exception, another exception occurred:\n\n"
    chained = TRACEBACK + between + TRACEBACK.replace("ValueError", "RuntimeError")
    (event,) = events(tmp_path, chained)
    assert event.data["exception"] == "RuntimeError"
    assert len(events(tmp_path, TRACEBACK + TRACEBACK)) == 2


def test_rank_prefixes_do_not_hide_a_traceback(tmp_path: Path) -> None:
    text = "".join(f"[rank3]: {line}\n" for line in TRACEBACK.splitlines())
    (event,) = events(tmp_path, "step 1 loss=2\n" + text)
    assert event.data["exception"] == "ValueError"
    assert event.data["frame"] == "train.py:9 in main"


GIB = 2.0**30
OLD = (
    "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 24.00 GiB total capacity; "
    "21.50 GiB already allocated; 1.20 GiB free; 22.10 GiB reserved in total by PyTorch)"
)
NEW = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity "
    "of 79.15 GiB of which 12.25 MiB is free. Of the allocated memory 76.10 GiB is allocated by PyTorch, "
    "and 1.20 GiB is reserved by PyTorch but unallocated."
)


@pytest.mark.parametrize(
    ("line", "sizes"),
    [
        (OLD, {"tried": 2, "capacity": 24, "allocated": 21.5, "free": 1.2, "reserved": 22.1}),
        (NEW, {"tried": 20 / 1024, "capacity": 79.15, "allocated": 76.1, "free": 12.25 / 1024, "reserved": 77.3}),
    ],
)  # fmt: skip
def test_the_sizes_of_an_out_of_memory_error(tmp_path: Path, line: str, sizes: dict) -> None:
    text = TRACEBACK.replace("ValueError: shapes do not match", line)
    found = [e for e in events(tmp_path, text) if e.kind is EventKind.OOM_GPU]
    assert len(found) == 1
    assert {k: v / GIB for k, v in found[0].data.items()} == pytest.approx(sizes, rel=1e-3)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("Killed", EventKind.OOM_HOST),
        ("RuntimeError: DataLoader worker (pid 7) is killed by signal: Killed.", EventKind.OOM_HOST),
        ("DefaultCPUAllocator: can't allocate memory: you tried to allocate 576 bytes", EventKind.OOM_HOST),
        ("slurmstepd: error: Detected 1 oom_kill event in StepId=1.0", EventKind.OOM_HOST),
        ("Segmentation fault (core dumped)", EventKind.SIGNAL),
        ("slurmstepd: error: *** JOB 1 CANCELLED AT 2026-01-01T00:00:00 DUE TO TIME LIMIT ***", EventKind.SIGNAL),
        ("[Rank 3] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=5)", EventKind.NCCL_TIMEOUT),
        ("[deepscale] OVERFLOW! Rank 0 Skipping step. Attempted loss scale: 65536, reducing to 32768", EventKind.LOSS_SCALE),
        ("Gradient overflow.  Skipping step, loss scaler 0 reducing loss scale to 32768.0", EventKind.LOSS_SCALE),
        ("Saving model checkpoint to out/checkpoint-500", EventKind.CHECKPOINT),
        ("tensorflow: OOM when allocating tensor with shape[8,8]", EventKind.OOM_GPU),
        ("THCudaCheck FAIL file=THCStorage.cu line=58 error=2 : out of memory", EventKind.OOM_GPU),
        ("Check failed: error == cudaSuccess (2 vs. 0)  out of memory", EventKind.OOM_GPU),
        ("slurmstepd: error: Job 7 exceeded memory limit (626 > 512), being killed", EventKind.OOM_HOST),
        ("run.sh: line 28:  8156 Killed                  python3 main.py", EventKind.OOM_HOST),
        ("command terminated with exit code 137", EventKind.SIGNAL),
        ("=>> PBS: job killed: walltime 3612 exceeded limit 3600", EventKind.SIGNAL),
        ("PARAMETER loss_scale : 32768.0", EventKind.LOSS_SCALE),
    ],
)  # fmt: skip
def test_single_lines_become_typed_events(tmp_path: Path, line: str, kind: EventKind) -> None:
    found = events(tmp_path, f"step 1 loss=2.0\n{line}\n")
    assert [event.kind for event in found] == [kind]
    if kind is EventKind.LOSS_SCALE:
        assert found[0].data["scale"] == 32768


def test_an_event_of_a_thousand_ranks_is_kept_fifty_times_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    path.write_text("step 1 loss=2\n" + "CUDA out of memory\n" * 1000)
    run = la.load(path)
    assert len(run.events) == 50
    assert any("950 more" in problem.text for problem in run.sources[0].problems)


def test_frames_that_follow_lines_of_standard_output_belong_to_their_traceback(
    tmp_path: Path,
) -> None:
    head, *frames = TRACEBACK.splitlines()
    lines = [head, "{'loss': 2.0, 'epoch': 0.1}", "{'loss': 1.0, 'epoch': 0.2}", *frames]
    path = tmp_path / "train.log"
    path.write_text("\n".join(lines) + "\n")
    run = la.load(path)
    assert run.series("train/loss").value.tolist() == [2.0, 1.0]
    (event,) = run.events_of(EventKind.TRACEBACK)
    assert event.data["exception"] == "ValueError"
    assert event.step == 2


def test_an_exception_and_an_assertion_on_the_device_are_events_without_a_traceback(
    tmp_path: Path,
) -> None:
    path = tmp_path / "train.log"
    path.write_text(
        "step 1 loss=2.0\n../aten/Indexing.cu:1146: index: block: [316,0,0] Assertion `a < b` failed.\n"
        "torch.distributed.DistBackendError: NCCL error\n"
    )
    asserted, raised = la.load(path).events_of(EventKind.TRACEBACK)
    assert (asserted.data["exception"], asserted.data["frame"]) == (
        "device-side assert",
        "Indexing.cu:1146",
    )
    assert raised.data["exception"] == "DistBackendError"


def test_a_traceback_of_a_notebook_names_its_exception_first(tmp_path: Path) -> None:
    text = (
        "ValueError                                Traceback (most recent call last)\n"
        "<ipython-input-3-1b2> in <module>\n----> 1 train()\n\nValueError: shapes do not match\n"
    )
    path = tmp_path / "cell.log"
    path.write_text("step 1 loss 2.0\n" + text)
    event = la.load(path).events_of(EventKind.TRACEBACK)[0]
    assert event.data["exception"] == "ValueError"


@pytest.mark.parametrize(
    "line",
    [
        "Monitored metric val_loss did not improve in the last 3 records. Signaling Trainer to stop.",
        "Epoch 00012: early stopping",
        "EarlyStopping: Training stopped early as no improvement observed in last 50 epochs.",
        "Stopping training early as no improvement observed in last 100 epochs.",
        "early stop since valid performance hasn't improved for last 10 runs",
        "Stopping since valid_loss has not improved in the last 5 epochs.",
        "Ran out of patience. Stopping training.",
        "Early stopping: no improvement for 3 evaluations (step 4)",
        "Early stopping, best iteration is:",
        "2024-05-01 10:00:00 INFO patience exhausted",
        "No improvement for 5 epochs, stopping.",
        "Stopped at step 4",
    ],
)
def test_a_training_that_says_it_stopped_early_is_complete(tmp_path: Path, line: str) -> None:
    path = tmp_path / "train.log"
    path.write_text("max_steps=100\n" + "".join(f"step {s} loss=2.0\n" for s in range(5)) + line)
    assert la.load(path).status is Status.COMPLETED


@pytest.mark.parametrize(
    "line",
    [
        "Early stopping patience: 10",
        "EarlyStopping counter: 3 out of 7",
        "Using early stopping with patience 5",
        "Epoch 5: val_loss did not improve from 0.30",
        "stopped early: False",
        "Patience reached, reducing learning rate",
        "no improvement for 2 epochs (patience 5)",
        "Stopping at step 4: time limit",
    ],
)
def test_counters_and_settings_of_early_stopping_say_no_end(tmp_path: Path, line: str) -> None:
    path = tmp_path / "train.log"
    path.write_text("max_steps=100\n" + "".join(f"step {s} loss=2.0\n" for s in range(5)) + line)
    assert la.load(path).status is Status.TRUNCATED


def test_a_traceback_that_lost_its_head_where_it_was_copied(tmp_path: Path) -> None:
    cut = TRACEBACK.split("\n", 1)[1]
    (event,) = events(tmp_path, f"step 7 loss=1.0\n{cut}")
    assert event.kind is EventKind.TRACEBACK
    assert event.data["exception"] == "ValueError"
    assert event.data["frame"] == "train.py:9 in main"
    assert event.text.startswith('  File "/home/me/train.py", line 12')


def test_frames_without_an_error_are_no_traceback(tmp_path: Path) -> None:
    frame = '  File "/home/me/train.py", line 9, in main\n    loss = model(x)\n'
    path = tmp_path / "train.log"
    path.write_text(f"step 1 loss=2.0\n{frame}step 2 loss=1.5\n")
    run = la.load(path)
    assert not run.events
    assert run.series("train/loss").value.tolist() == [2.0, 1.5]


@pytest.mark.parametrize(
    "line",
    [
        "Error(s) in loading state_dict for Net:",
        "size mismatch for fc.weight: copying a param with shape torch.Size([9, 8]) from checkpoint",
    ],
)
def test_a_message_without_its_class_is_an_error(tmp_path: Path, line: str) -> None:
    (event,) = events(tmp_path, f"{line}\n")
    assert event.data["exception"] == "RuntimeError"


def test_an_exception_that_says_a_hint_is_both(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text("ValueError: All labels in your dataset are -100. Check the template.\n")
    kinds = {event.kind for event in la.load(path).events}
    assert {EventKind.HINT, EventKind.TRACEBACK} <= kinds


def test_killed_in_bold_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text("step 3 loss 2.5\n**Killed**\n")
    assert la.load(path).events[-1].kind is EventKind.OOM_HOST


def test_ranks_that_wait_after_the_end_make_the_run_fail(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    end = "`Trainer.fit` stopped: `max_epochs=3` reached.\n"
    wait = "[Rank 1] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=7) ran for 1800090 ms\n"
    path.write_text(end + wait)
    assert la.load(path).status is Status.CRASHED
    path.write_text(end)
    assert la.load(path).status is Status.COMPLETED
