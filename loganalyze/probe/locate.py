"""Find the target that the user names: ``path/to/file.py:function`` or ``package.module:function``.

This runs the user's own code, which the user names; nothing out of a run directory is run.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

from loganalyze.errors import UsageError
from loganalyze.probe.target import ProbeTarget, checked
from loganalyze.probe.trainers import from_trainer, is_trainer

DEFAULT = "target"  # function of a file that names none


def located(named: str) -> ProbeTarget:
    """Return the target that the named function makes.

    Raises
    ------
    UsageError
        If there is no such file, module or function, or it raises; one line says what.
    """
    place, mark, name = named.rpartition(":")
    if not mark or "/" in name or "\\" in name:
        place, name = named, DEFAULT
    module = _module(place, named)
    found = getattr(module, name, None)
    if found is None:
        raise UsageError(_missing(module, place, name))
    is_ready = isinstance(found, ProbeTarget) or is_trainer(found)
    made = found if is_ready else _called(found, f"{place}:{name}")
    target = checked(from_trainer(made) if is_trainer(made) else made, f"{place}:{name}")
    if target.name == ProbeTarget.__dataclass_fields__["name"].default:
        import dataclasses

        target = dataclasses.replace(target, name=f"{Path(place).name}:{name}")
    return target


def _module(place: str, named: str) -> ModuleType:
    if place.endswith(".py") or "/" in place or Path(place).is_file():
        return _from_file(Path(place))
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name and (place == error.name or place.startswith(f"{error.name}.")):
            raise UsageError(
                f"no target {named!r}: there is neither a file nor a module {place!r}; name it as "
                "file.py:function or package.module:function"
            ) from None
        raise UsageError(_raised(place, error)) from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code
        raise UsageError(_raised(place, error)) from None


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"no target file {path}; `loganalyze probe init` writes an example")
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)  # as `python file.py` does: it imports what lies beside it
    name = f"loganalyze_target_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code
        raise UsageError(_raised(str(path), error)) from None
    return module


def _called(function: Any, origin: str) -> Any:
    if not callable(function):
        raise UsageError(f"{origin} is a {type(function).__name__}, not a function")
    try:
        return function()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code
        raise UsageError(_raised(origin, error)) from None


def _raised(origin: str, error: BaseException) -> str:
    from loganalyze.probe.runner import told

    return f"{origin} cannot be used: {told(error)}"


def _missing(module: ModuleType, place: str, name: str) -> str:
    functions = [
        key for key, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", None) == module.__name__
    ]  # fmt: skip
    near = get_close_matches(name, functions, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    listed = f" (it has: {', '.join(functions[:6])})" if functions else ""
    return f"{place} has no function {name!r}{hint}{listed}"
