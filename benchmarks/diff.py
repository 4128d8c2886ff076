"""Score ``loganalyze diff`` on pairs of real runs: ``python benchmarks/diff.py [--write docs/diff.md]``.

With ``--write`` the figures of the page between its marks are made anew.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import loganalyze as la  # noqa: E402
from benchmarks.pairs.kept import Pair, kept_pairs, unpack  # noqa: E402
from loganalyze.compare.comparison import Diff  # noqa: E402
from loganalyze.compare.values import Outcome  # noqa: E402

NEAR = 0.05  # of the step of the change, within which a parting counts as found
ALIKE = (Outcome.SAME, Outcome.IDENTICAL)
MARK = "<!-- figures -->\n"
# Kind -> what it must come to, in words.
KINDS = {
    "lr-x10": "learning rate x 10, another seed",
    "warmup": "warmup 0.1 against 0.03, another seed",
    "accumulation": "loss summed over 4 micro-batches against its fix, another seed",
    "batch": "batch 8 against 64, another seed",
    "resumed": "uninterrupted against resumed with all its state",
    "resumed-lost": "uninterrupted against resumed without the optimizer's state",
    "interval-seed-0": "logged every n steps against every 4 n, same seed",
    "interval-seed-1": "logged every n steps against every 4 n, another seed",
    "crashed": "crashed against its rerun, another seed",
    "missing": "gradient norm, rate and accuracy missing on one side, another seed",
    "different-tasks": "totally different tasks",
}


@dataclass(frozen=True)
class Scored:
    """A pair and its diff."""

    pair: Pair
    diff: Diff

    @property
    def found_at(self) -> float | None:
        return self.diff.parting_step

    @property
    def is_near(self) -> bool:
        """Whether the parting lies within 5 % of the step of the change."""
        change = self.pair.change
        return self.found_at is not None and abs(self.found_at - change) <= NEAR * change


def score(kinds: tuple[str, ...] = ()) -> list[Scored]:
    """Compare all pairs whose kind begins with one of these, or all."""
    with tempfile.TemporaryDirectory() as folder:

        @cache
        def diagnosis(name: str) -> la.Diagnosis:
            return la.diagnose(la.load(unpack(name, Path(folder))))

        return [
            Scored(pair, la.diff(diagnosis(pair.a), diagnosis(pair.b)))
            for pair in kept_pairs()
            if not kinds or pair.kind.startswith(kinds)
        ]


def report(scored: list[Scored]) -> Iterator[str]:
    """Yield the tables of the page."""
    yield "| pairs | split | pairs | as they should be |\n|---|---|--:|--:|\n"
    for split in ("dev", "held-out"):
        seeds = [s for s in scored if s.pair.kind == "seeds" and s.pair.split == split]
        good = [s for s in seeds if s.diff.verdict.outcome in ALIKE]
        yield f"| two seeds: no difference beyond noise | {split} | {len(seeds)} | {_share(good, seeds)} |\n"
        known = [s for s in scored if s.pair.kind.startswith("known") and s.pair.split == split]
        near = [s for s in known if s.is_near]
        share = _share(near, known)
        yield f"| change at a known step: within 5 % of it | {split} | {len(known)} | {share} |\n"
        for manner in sorted({s.pair.kind for s in known}):
            some = [s for s in known if s.pair.kind == manner]
            near = [s for s in some if s.is_near]
            yield f"| ... {manner.removeprefix('known-')} | {split} | {len(some)} | {_share(near, some)} |\n"
    yield "\n| pairs of all tasks | pairs | what they came to |\n|---|--:|---|\n"
    for kind, told in KINDS.items():
        some = [s for s in scored if s.pair.kind == kind]
        counts: dict[str, int] = {}
        for one in some:
            counts[one.diff.verdict.outcome.value] = (
                counts.get(one.diff.verdict.outcome.value, 0) + 1
            )
        words = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        yield f"| {told} | {len(some)} | {words} |\n"
    yield from _misses(scored)


def _misses(scored: list[Scored]) -> Iterator[str]:
    yield "\nWhat went wrong, by name:\n\n"
    for one in scored:
        if one.pair.kind == "seeds" and one.diff.verdict.outcome not in ALIKE:
            yield f"- {one.pair.identifier} ({one.pair.split}): {one.diff.verdict.headline}\n"
        if one.pair.kind.startswith("known") and not one.is_near:
            where = "nowhere" if one.found_at is None else f"at step {one.found_at:,.0f}"
            yield f"- {one.pair.b} ({one.pair.split}): changed at {one.pair.change:,}, parts {where}\n"


def _share(part: list[Scored], whole: list[Scored]) -> str:
    return f"{100 * len(part) / max(len(whole), 1):.1f} % ({len(part)}/{len(whole)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, metavar="PAGE")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    text = "".join(report(score()))
    print(text)
    if chosen.write:
        before, _, after = chosen.write.read_text("utf-8").split(MARK)
        chosen.write.write_text(f"{before}{MARK}\n{text}\n{MARK}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
