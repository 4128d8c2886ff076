from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from loganalyze.causes import HYPOTHESES

Call = Callable[..., tuple[int, str, str]]

TARGET = """
from tests.probe import targets
target = targets.healthy
def wide(): return targets.wide_head()
def none(): return None
def broken(): raise ValueError("no data here")
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(TARGET)
    return path


def test_init_without_a_target_writes_an_example_that_can_be_probed(call: Call) -> None:
    code, _, err = call("probe", "init")
    assert code == 0
    assert "Next: loganalyze probe all probe_target.py:target" in err
    code, out, _ = call("probe", "init", "probe_target.py")
    assert code == 0
    assert "Everything is as it was, bit for bit" in out
    code, _, err = call("probe", "init")
    assert code == 2
    assert "probe_target.py exists" in err


def test_a_check_prints_and_writes_json_and_page(call: Call, file: Path) -> None:
    code, out, err = call("probe", "init", f"{file}:wide")
    assert code == 0
    assert "the logits explain it" in " ".join(out.split())
    assert "Wrote probe.json" in err
    assert "Wrote probe.html" in err
    document = json.loads(Path("probe.json").read_text())
    assert document["results"][0]["restored"]["identical"] is True
    code, _, _ = call("probe", "init", f"{file}:wide")  # its own files may be written anew
    assert code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("init", "missing.py:f"), "no target file missing.py"),
        (("init", "no.such.module:f"), "neither a file nor a module 'no.such.module'"),
        (("init", "mine.py:wid"), "no function 'wid'; did you mean wide?"),
        (("init", "mine.py:none"), "returned None, not a ProbeTarget"),
        (("init", "mine.py:broken"), "ValueError: no data here (mine.py:6)"),
        (("inti", "mine.py:target"), "no check 'inti'; did you mean init?"),
        (("overfit",), "name the model and the data to probe"),
        (("recommended", "mine.py:target"), "add --run RUN"),
        (("init", "mine.py:target", "--device", "cuda:77"), "the device 'cuda:77' cannot be used"),
        (("init", "--hf", "."), "--hf needs the data"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(
    call: Call, file: Path, arguments: tuple[str, ...], said: str
) -> None:
    code, out, err = call("probe", *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_without_torch_it_says_what_to_install(
    call: Call, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    code, _, err = call("probe", "init", "mine.py:target")
    assert code == 2
    assert "pip install 'loganalyze[probe]'" in err


def test_the_package_is_imported_without_torch() -> None:
    import subprocess
    import sys

    script = "import loganalyze.probe, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_every_cause_names_a_check_that_exists() -> None:
    from loganalyze.probe import PROBES

    planned = {"lr", "batch", "data", "precision", "nan", "memory", "gradients", "overfit"}
    assert {one.probe for one in HYPOTHESES} <= {one.id for one in PROBES} | planned


def test_an_interrupt_loses_no_result_that_was_there(call: Call, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n"
        "from tests.probe import targets\n"
        "class Stopped(nn.Linear):\n"
        "    def forward(self, x): raise KeyboardInterrupt\n"
        "def target(): return targets.healthy(model=Stopped(20, 10), num_classes=10)\n"
    )
    code, out, err = call("probe", "data,nan", "mine.py")
    assert code == 130
    assert "data  Nothing is wrong with 80 samples" in out
    assert "interrupted; everything was put back as it was" in err
    assert [r["check"] for r in json.loads(Path("probe.json").read_text())["results"]] == ["data"]
