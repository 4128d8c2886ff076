"""``training_args.bin``: the arguments of the Hugging Face Trainer, read without unpickling.

`torch.save` writes a zip archive with the pickle in ``*/data.pkl`` (before PyTorch 1.6: a magic
number, a version, a description of the machine and the object, as four pickles in a row).
"""

from __future__ import annotations

import re
import zipfile
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from loganalyze.ingest.config_file import flatten, run_key
from loganalyze.ingest.ingester import Facts, Ingester, Table, relative
from loganalyze.ingest.pickle_values import Made, Name, values
from loganalyze.run import ConfigValue, Scalar

MAX_BYTES = 2**20  # the real ones have some 6 kB
MAX_LEVELS = 3  # of nesting that settings have
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # torch.serialization.MAGIC_NUMBER
LEGACY_OBJECT = 3  # pickles before the object
_PICKLE = re.compile(r"^[^/]+/data\.pkl$")
_CHECKPOINT = re.compile(r"^checkpoint-(\d+)$")
_ENCRYPTED = 1  # bit of a zip member's flags


def claims(path: Path, head: bytes) -> bool:
    """Tell whether these are saved training arguments, by name or by the class in the pickle."""
    if not head.startswith((b"PK\x03\x04", b"\x80")):
        return False
    return path.name == "training_args.bin" or (
        path.suffix in {".bin", ".pt"} and b"TrainingArguments" in head
    )


def read(path: Path, root: Path) -> list[Table]:
    """Read the arguments as settings; nothing in the file is executed.

    Raises
    ------
    ValueError
        If it is too large, damaged, or holds something else than arguments.
    """
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES:,} bytes: these are no training arguments")
    saved = _saved(path)
    settings = _plain(saved.state if isinstance(saved, Made) else saved, MAX_LEVELS, set())
    if not isinstance(settings, dict) or not settings:
        raise ValueError("holds no arguments")
    source = relative(path, root)
    flat = flatten(settings)
    framework = saved.name.partition(".")[0] if isinstance(saved, Made) else ""
    return [
        Table(
            source=source,
            format="training-args",
            run=run_key(path, root),
            config={key: ConfigValue(value, f"{source}: {key}") for key, value in flat.items()},
            facts=Facts(
                framework="hf-trainer" if framework in {"transformers", "trl"} else None,
                planned_epochs=_planned_epochs(flat),
            ),
            order=_order(path),
        )
    ]


def _planned_epochs(settings: dict[str, Scalar]) -> float | None:
    """Return the epochs to train; a limit in steps overrides them."""
    epochs, steps = settings.get("num_train_epochs"), settings.get("max_steps")
    limited = isinstance(steps, int) and steps > 0
    return (
        float(epochs) if isinstance(epochs, (int, float)) and epochs > 0 and not limited else None
    )


def _order(path: Path) -> float:
    """Put the run's own arguments first, then the latest checkpoint's: the first word counts."""
    found = _CHECKPOINT.match(path.parent.name)
    return -float(found[1]) if found else -float("inf")


def _saved(path: Path) -> Any:
    """Return the symbols of the object that was saved."""
    data = path.read_bytes()
    if data.startswith(b"PK"):
        return next(values(_member(path)), None)
    first = list(islice(values(data), LEGACY_OBJECT + 1))
    is_legacy = len(first) > LEGACY_OBJECT and first[0] == LEGACY_MAGIC
    return first[LEGACY_OBJECT] if is_legacy else next(iter(first), None)


def _member(path: Path) -> bytes:
    """Return the pickle in a zip archive; PyTorch never compresses it, so a bomb finds no way in."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = next((m for m in archive.infolist() if _PICKLE.match(m.filename)), None)
            if found is None:
                raise ValueError("a zip archive without data.pkl")
            if found.compress_type != zipfile.ZIP_STORED or found.flag_bits & _ENCRYPTED:
                raise ValueError("a compressed or encrypted pickle, which PyTorch does not write")
            if found.file_size > MAX_BYTES:
                raise ValueError(f"a pickle of {found.file_size:,} bytes: not read")
            with archive.open(found) as member:
                return member.read(MAX_BYTES)
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise ValueError(f"a damaged zip archive: {error}") from None


def _plain(value: Any, levels: int, seen: set[int]) -> Any:
    """Turn symbols into settings; an enum, a device or a path is the argument it was made of.

    Each container is taken once: shared ones may otherwise multiply without end.
    """
    if isinstance(value, Name):
        return value.path
    if isinstance(value, Made) and not value.state:
        return _from_call(value)
    if isinstance(value, Made):
        value = value.state
    if isinstance(value, (dict, list, tuple)):
        if id(value) in seen or levels < 0:
            return None
        seen.add(id(value))
    if isinstance(value, dict):
        return {
            key: _plain(item, levels - 1, seen)
            for key, item in value.items()
            if isinstance(key, str) and not key.startswith("_")
        }
    if isinstance(value, (list, tuple)):
        return [_plain(item, levels - 1, seen) for item in value]
    return value if isinstance(value, (str, int, float)) else None


def _from_call(made: Made) -> Scalar:
    texts = [item for item in made.args if isinstance(item, (str, int, float))]
    if made.name.startswith("pathlib"):
        return str(PurePosixPath(*map(str, texts)))
    return texts[0] if len(made.args) == 1 and texts else None


INGESTER = Ingester("training-args", claims, read)
