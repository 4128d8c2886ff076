"""What a page may run: the hash of each of its own scripts, and no request to anywhere."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence

_QUOTED = re.compile(r'("(?:\\.|[^"\\])*")')
_SPACE = re.compile(r"\s*([{}();,:?=+\-*/<>&|!\[\]])\s*")


def policy(scripts: Sequence[str]) -> str:
    """Return the content security policy that allows these inline scripts and nothing else."""
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    return (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        f"script-src {hashes}; base-uri 'none'; form-action 'none'"
    )


def plain_script(source: str) -> str:
    """Return one of our scripts without comments and needless space.

    They hold no regular expressions, no template strings and no comment behind code, and end each statement
    with a semicolon; so a space beside a sign, outside of quotes, means nothing.
    """
    code = "\n".join(line for line in source.splitlines() if not line.strip().startswith("//"))
    parts = _QUOTED.split(code)
    parts[::2] = [_SPACE.sub(r"\1", part) for part in parts[::2]]
    return "".join(parts).strip()


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
