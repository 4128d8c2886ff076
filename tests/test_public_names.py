"""The public surface, the lazy imports and the price of `--help`."""

from __future__ import annotations

import subprocess
import sys

import loganalyze

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


def test_help_imports_nothing_heavy() -> None:
    loaded = imported_by(
        "from loganalyze.cli import group; group.main(['--help'], standalone_mode=False)"
    )
    assert loaded.isdisjoint(HEAVY)


def test_reading_files_imports_neither_mlflow_nor_torch(samples) -> None:
    runs = sorted(str(path) for path in samples.iterdir() if path.is_dir())
    loaded = imported_by(
        f"import loganalyze as la; [la.diagnose(la.load(p)).to_json() for p in {runs!r}]"
    )
    assert loaded.isdisjoint({"mlflow", "torch", "transformers", "matplotlib"})
