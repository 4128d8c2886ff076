"""The public surface, the lazy imports and the price of `--help`."""

from __future__ import annotations

import subprocess
import sys

import pytest

import loganalyze
from loganalyze.cli import COMMANDS

HEAVY = ("pandas", "numpy", "scipy", "matplotlib", "mlflow", "tbparse", "tensorboard", "torch")


def imported_by(code: str) -> set[str]:
    script = f"import sys; {code}; print(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(result.stdout.splitlines()[-1].split())


def test_all_is_sorted_and_complete() -> None:
    assert loganalyze.__all__ == sorted(loganalyze.__all__)
    for name in loganalyze.__all__:
        assert getattr(loganalyze, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(loganalyze, "no_such_name")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["--version", "--verbose"],
        *([name, "--help"] for name in COMMANDS),
    ],
    ids=" ".join,
)
def test_help_and_version_import_nothing_heavy(arguments: list[str]) -> None:
    loaded = imported_by(
        f"from loganalyze.cli import group; group.main({arguments}, standalone_mode=False)"
    )
    assert loaded.isdisjoint({*HEAVY, "jinja2", "orjson", "yaml", "rich"})


def test_a_diagnosis_imports_no_more_than_it_needs(samples) -> None:
    path = str(samples / "report-280-classes")
    loaded = imported_by(
        f"from loganalyze.cli import group; group.main(['diagnose', {path!r}], standalone_mode=False)"
    )
    assert "pandas" in loaded
    assert loaded.isdisjoint({*HEAVY, "jinja2", "rich"} - {"pandas", "numpy"})


def test_reading_files_imports_neither_mlflow_nor_torch(samples) -> None:
    runs = sorted(str(path) for path in samples.iterdir() if path.is_dir())
    loaded = imported_by(
        f"import loganalyze as la; [la.diagnose(la.load(p)).to_json() for p in {runs!r}]"
    )
    assert loaded.isdisjoint({"mlflow", "torch", "transformers", "matplotlib"})
