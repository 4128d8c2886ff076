"""Errors that name their cause in words, as logs hold them."""

from pathlib import Path

import pytest

import loganalyze as la
from loganalyze.finding import Cause

STEPS = "".join(f"step {step} loss {3 - step / 50:.3f}\n" for step in range(1, 41))
TRACEBACK = """Traceback (most recent call last):
  File "/home/me/train.py", line 88, in <module>
    main()
  File "/home/me/train.py", line 61, in main
    {call}
{error}
"""


def causes(folder: Path, end: str, begin: str = STEPS) -> list[Cause]:
    (folder / "train.log").write_text(begin + end, encoding="utf-8")
    return list(la.diagnose(la.load(folder)).causes)


def failed(error: str, call: str = "loss.backward()") -> str:
    return TRACEBACK.format(call=call, error=error)


SAID = {
    "label-out-of-range": (
        "/pytorch/aten/src/THCUNN/ClassNLLCriterion.cu:108: block: [0,0,0], thread: [3,0,0] "
        "Assertion `t >= 0 && t < n_classes` failed.\n",
        "../aten/src/ATen/native/cuda/Loss.cu:250: nll_loss_forward_reduce_cuda_kernel_2d: block: [0,0,0], "
        "thread: [5,0,0] Assertion `t >= 0 && t < n_classes` failed.\n"
        + failed("RuntimeError: CUDA error: device-side assert triggered"),
        failed("IndexError: Target 10 is out of bounds."),
        "in cross_entropy_loss(input, target, weight) IndexError: \nTarget -1 is out of bounds.\n",
    ),
    "tokenizer-mismatch": (
        "../aten/src/ATen/native/cuda/Indexing.cu:1146: indexSelectLargeIndex: block: [3,0,0], "
        "thread: [9,0,0] Assertion `srcIndex < srcSelectDimSize` failed.\n",
        failed("IndexError: index out of range in self", "self.embed(input_ids)"),
    ),
    "num-labels-mismatch": (
        "RuntimeError: Error(s) in loading state_dict for Bert:\n\tsize mismatch for classifier.weight: copying a "
        "param with shape torch.Size([9, 768]) from checkpoint, the shape in current model is "
        "torch.Size([13, 768]).\n",
        failed("ValueError: Shapes (None, 10) and (None, 5) are incompatible", "model.fit(x, y)"),
    ),
    "scheduler-misconfigured": (
        failed("ValueError: Tried to step 1001 times. The specified number of total steps is 1000"),
    ),
    "pad-or-mask-bug": (
        failed("ValueError: Cannot handle batch sizes > 1 if no padding token is defined."),
    ),
    "wrong-loss-function": (
        "../aten/src/ATen/native/cuda/Loss.cu:115: operator(): block: [0,0,0], thread: [64,0,0] "
        "Assertion `input_val >= zero && input_val <= one` failed.\n",
    ),
    "disk-full": (
        "No space left on device\n",
        failed("OSError: [Errno 28] No space left on device: 'out/optimizer.pt'", "torch.save(x)"),
        failed("OSError: [Errno 122] Disk quota exceeded", "trainer.save_model()"),
        failed("RuntimeError: [enforce fail at inline_container.cc:337] . unexpected pos 832 vs 736"),
        failed("RuntimeError: File out/checkpoint_3.pt cannot be opened.", "torch.save(state, path)"),
    ),
    "hardware-fault": (
        "RuntimeError: cuda runtime error (39) : uncorrectable ECC error encountered at Host.cpp:265\n",
        "[12345.678] NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.\n",
    ),
    "communication-timeout": (
        "[rank1]:[E ProcessGroupNCCL.cpp:563] [Rank 1] Watchdog caught collective operation timeout: "
        "WorkNCCL(SeqNum=7, OpType=ALLREDUCE, NumelIn=1, NumelOut=1, Timeout(ms)=600000) ran for 600093 "
        "milliseconds before timing out.\n",
        failed("torch.distributed.DistStoreError: Timed out after 901 seconds waiting for clients. 3/4 "
               "clients joined.", "dist.init_process_group()"),
    ),
    "host-memory-exhausted": (
        failed("RuntimeError: DataLoader worker (pid 17) is killed by signal: Bus error. It is possible that "
               "dataloader's workers are out of shared memory. Please try to raise your shared memory limit."),
        failed("RuntimeError: DataLoader worker (pid 17) is killed by signal: Killed."),
        "ERROR:torch.distributed.elastic.multiprocessing.api:failed (exitcode: -9) local_rank: 0 (pid: 4)\n",
        "Your session crashed after using all available RAM.\n",
    ),
    "frozen-parameters": (
        failed("RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn"),
        failed("ValueError: optimizer got an empty parameter list", "AdamW(params)"),
    ),
    "fp16-overflow": (
        failed("Exception: Current loss scale already at minimum - cannot decrease scale anymore. Exiting run."),
        failed("FloatingPointError: Minimum loss scale reached (0.0001). Your loss is probably exploding."),
    ),
    "time-limit": (
        "slurmstepd: error: *** JOB 4711 ON node7 CANCELLED AT 2024-05-01T12:00:00 DUE TO TIME LIMIT ***\n",
    ),
    "software-bug": (
        failed("KeyError: 'labels'", "batch['labels']"),
        failed("RuntimeError: expected scalar type Half but found Float"),
        failed("RuntimeError: Expected to have finished reduction in the prior iteration"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("cause", "end"), [(c, e) for c, ends in SAID.items() for e in ends])
def test_what_an_error_says_is_the_cause(tmp_path: Path, cause: str, end: str) -> None:
    found = causes(tmp_path, end)
    assert found[0].id == cause
    assert found[0].probability > 0.5
    if cause != "software-bug":
        assert 'The log says "' in found[0].evidence_for[0].text


@pytest.mark.parametrize("cause", sorted(set(SAID) - {"software-bug", "time-limit"}))
def test_an_ordinary_error_names_none_of_them(tmp_path: Path, cause: str) -> None:
    found = {one.id for one in causes(tmp_path, failed("KeyError: 'labels'"))}
    assert cause not in found


def test_a_timeout_after_another_error_is_its_wake(tmp_path: Path) -> None:
    timeout = SAID["communication-timeout"][0]
    found = causes(tmp_path, failed("ValueError: bad shape", "model(batch)") + timeout)
    assert found[0].id == "software-bug"
    assert "communication-timeout" not in {cause.id for cause in found}


def test_the_rank_that_does_not_wait_is_named(tmp_path: Path) -> None:
    line = SAID["communication-timeout"][0]
    end = "".join(line.replace("Rank 1", f"Rank {rank}") for rank in (1, 2, 3))
    found = causes(tmp_path, end)[0]
    assert any("Rank 0 does not report" in clue.text for clue in found.evidence_for)
    assert "10 min" in found.fix[1]


def test_a_full_disk_in_the_middle_that_the_run_survived_is_no_end(tmp_path: Path) -> None:
    found = causes(tmp_path, STEPS.replace("step ", "step 1"), STEPS + "No space left on device\n")
    assert found == []


def stamped(hours: float) -> str:
    seconds = hours * 3600
    lines = []
    for step in range(200):
        at = int(step / 199 * seconds)
        clock = f"2024-05-{1 + at // 86400:02d} {at % 86400 // 3600:02d}:{at % 3600 // 60:02d}:{at % 60:02d}"
        lines.append(f"{clock} step {step}/1000 loss {3 - step / 100:.4f}\n")
    return "".join(lines)


@pytest.mark.parametrize(("hours", "likely"), [(11.95, True), (24.0, True), (7.3, False)])
def test_a_span_just_under_a_usual_limit_speaks_for_it(
    tmp_path: Path, hours: float, likely: bool
) -> None:
    (tmp_path / "train.log").write_text(stamped(hours), encoding="utf-8")
    diagnosis = la.diagnose(la.load(tmp_path))
    from loganalyze.causes import time_limit
    from loganalyze.causes.cause import Case

    weight = sum(clue.weight for clue in time_limit.weigh(Case(diagnosis.run, diagnosis.findings)))
    assert (weight > 0) == likely


MEMORY = (
    "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate {tried} GiB. GPU 0 has a total "
    "capacity of 24.00 GiB of which 1.00 GiB is free. Of the allocated memory {allocated} GiB is allocated by "
    "PyTorch, and 0.10 GiB is reserved by PyTorch but unallocated.\n"
)


def test_one_large_request_after_many_steps_is_an_odd_or_a_long_sample(tmp_path: Path) -> None:
    begin = "".join(f"step {step} loss 2.0\n" for step in range(1, 500))
    found = causes(tmp_path, MEMORY.format(tried="11.00", allocated="12.00"), begin)
    assert {found[0].id, found[1].id} <= {"sequence-too-long", "outlier-batch"}
    assert "46% of the whole memory" in str(found[0].clues)


def test_a_small_request_at_the_start_is_the_batch(tmp_path: Path) -> None:
    found = causes(tmp_path, MEMORY.format(tried="0.02", allocated="23.50"), "step 1 loss 2.0\n")
    assert found[0].id == "batch-too-large"
    assert "outlier-batch" not in {cause.id for cause in found}


def test_a_checkpoint_of_another_width_is_no_mismatch_of_labels(tmp_path: Path) -> None:
    error = (
        "RuntimeError: Error(s) in loading state_dict for Net:\n\tsize mismatch for a.weight: copying a param "
        "with shape torch.Size([768, 768]) from checkpoint, the shape in current model is torch.Size([1024, "
        "1024]).\n\tsize mismatch for a.bias: copying a param with shape torch.Size([768]) from checkpoint, the "
        "shape in current model is torch.Size([1024]).\n"
    )
    assert causes(tmp_path, error)[0].id == "software-bug"


def test_memory_that_is_free_and_does_not_serve_is_fragmented(tmp_path: Path) -> None:
    error = (
        "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity "
        "of 4.00 GiB of which 2.35 GiB is free. Of the allocated memory 825.15 MiB is allocated by PyTorch, and "
        "24.85 MiB is reserved by PyTorch but unallocated.\n"
    )
    assert causes(tmp_path, error)[0].id == "memory-fragmentation"


def test_a_layer_that_embeds_classes_is_a_head(tmp_path: Path) -> None:
    end = (
        "RuntimeError: Error(s) in loading state_dict for Net:\n\tsize mismatch for class_embed.weight: copying a "
        "param with shape torch.Size([4, 128]) from checkpoint, the shape in current model is "
        "torch.Size([31, 128]).\n\tsize mismatch for class_embed.bias: copying a param with shape torch.Size([4]) "
        "from checkpoint, the shape in current model is torch.Size([31]).\n"
    )
    assert causes(tmp_path, end)[0].id == "num-labels-mismatch"


def test_a_write_that_fails_with_an_error_of_the_device_is_a_full_disk(tmp_path: Path) -> None:
    end = failed("RuntimeError: write(): fd 7 failed with Input/output error", "torch.save(a, b)")
    assert causes(tmp_path, end)[0].id == "disk-full"


def test_an_old_library_s_index_error_in_an_embedding_is_that_of_a_token(tmp_path: Path) -> None:
    looked_up = failed("RuntimeError: index out of range", "rows = self.embedding(words)")
    assert causes(tmp_path, looked_up)[0].id == "tokenizer-mismatch"
    elsewhere = failed("RuntimeError: index out of range", "rows = picked[place]")
    assert causes(tmp_path, elsewhere)[0].id == "software-bug"
