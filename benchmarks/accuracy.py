"""Score the diagnosis on labelled runs: ``python benchmarks/accuracy.py [--shared FOLDER] [--write PAGE]``.

The sets: the injected faults and healthy runs of `faults/` (tasks for development, tasks held out), public
failure reports and other people's runs (judged by eye) where a folder with them is given. Two other tools
are called on the same files.

Counted are: the recall of each finding among the runs whose curve shows it (at any severity); the precision
of findings of severity warning or above (right: shown clearly or faintly); healthy runs with any such
finding; causes in first place and among the first three, for runs whose fault shows at all; and the expected
calibration error of all probabilities given, in ten bins.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import corpus_labels
import peers
import public_labels

HERE = Path(__file__).parent
FAULTS = HERE / "faults"
WARNING = ("warning", "critical", "error")
MARK = "<!-- accuracy -->"
OTHERS = "other people's runs"


@dataclass(frozen=True)
class Subject:
    """One run to diagnose, and what is true of it."""

    id: str
    set: str
    path: Path | None = None
    text: str = ""  # a log that is given as text
    healthy: bool | None = None  # None: nobody has judged it
    expected: tuple[tuple[str, ...], ...] = ()  # each met by any of its ids
    allowed: tuple[str, ...] = ()  # no mistake, though not asked for
    cause: str | None = None
    accepted: tuple[str, ...] = ()


@dataclass
class Answer:
    """What the tools said of one subject."""

    subject: Subject
    findings: list[tuple[str, str]] = field(default_factory=list)  # severity, id
    causes: list[tuple[str, float]] = field(default_factory=list)
    peers: dict[str, list[tuple[str, str]] | None] = field(default_factory=dict)
    judged: bool = True  # someone can say what is true of it
    problem: str = ""

    @property
    def warned(self) -> list[str]:
        return [name for severity, name in self.findings if severity in WARNING]

    def said(self) -> set[str]:
        return {name for _, name in self.findings}

    def wrong(self) -> list[str]:
        """Return the findings of severity warning or above that are not true of the run."""
        true = {name for ids in self.subject.expected for name in ids} | set(self.subject.allowed)
        return [name for name in self.warned if name not in true]


def injected() -> Iterator[Subject]:
    """Yield the runs of `faults/`."""
    for line in (FAULTS / "labels.jsonl").read_text().splitlines():
        entry = json.loads(line)
        kind = "healthy" if entry["healthy"] else "faults"
        yield Subject(
            entry["id"], f"{kind}, {entry['split']}", FAULTS / "logs" / entry["id"],
            healthy=entry["healthy"], expected=tuple(tuple(name.split("|")) for name in entry["findings"]),
            allowed=tuple(entry["also"]), cause=entry["cause"] if entry["findings"] else None,
            accepted=tuple(entry["accepted"]),
        )  # fmt: skip


def public(shared: Path) -> Iterator[Subject]:
    """Yield the public reports that can be scored."""
    for line in (shared / "cases.jsonl").read_text().splitlines():
        case = json.loads(line)
        if not (case["scorable_symptom"] or case["scorable_cause"]):
            continue
        healthy = case["root_cause"] in public_labels.HEALTHY
        accepted = sorted(public_labels.CAUSES.get(case["root_cause"], ()))
        scored = case["scorable_cause"] and accepted
        symptoms = [
            public_labels.SYMPTOMS[s] for s in case["symptoms"] if s in public_labels.SYMPTOMS
        ]
        shown = symptoms if case["scorable_symptom"] and not healthy else []
        yield Subject(
            case["id"], "public reports", text=case["log_text"], healthy=healthy or None,
            expected=tuple(tuple(sorted(ids)) for ids in shown),
            cause=case["root_cause"] if scored else None, accepted=tuple(accepted),
        )  # fmt: skip


def corpus(shared: Path) -> Iterator[Subject]:
    """Yield other people's runs, labelled by eye."""
    root = shared / "corpus"
    paths: set[Path] = set()
    for line in (root / "MANIFEST.jsonl").read_text().splitlines():
        entry = json.loads(line)
        path = root / entry["path"]
        if entry["kind"] == "mlflow":
            if path.parent.name == "metrics":
                paths.add(path.parent.parent)
        elif entry["kind"] == "wandb":
            paths.add(path.parent.parent if path.parent.name == "files" else path.parent)
        elif entry["kind"] == "tfevents":
            paths.add(path.parent)
        elif entry["kind"] != "run_dir":
            paths.add(path)
    paths |= set((root / "run_dirs").glob("*/"))
    for path in sorted(paths):
        name = str(path.relative_to(root))
        labels = corpus_labels.shown(name)
        if labels is None:
            yield Subject(name, OTHERS, path)
            continue
        clear, faint = labels
        yield Subject(
            name, OTHERS, path, healthy=None if clear or faint else True,
            expected=tuple((finding,) for finding in clear), allowed=(*faint, "crash", "run-truncated"),
        )  # fmt: skip


def answer(subject: Subject) -> Answer:
    """Ask every tool about one run."""
    found = Answer(subject)
    with tempfile.TemporaryDirectory() as scratch:
        path = unpacked(subject, Path(scratch))
        try:
            found.findings, found.causes, points = ours(path)
            found.judged = subject.set != OTHERS or (
                points > 1 and "issue-excerpt" not in subject.id
            )
        except Exception as error:  # noqa: BLE001 - reported as a failure of this run
            unreadable = type(error).__name__ == "NothingReadable"
            found.problem = "nothing readable" if unreadable else repr(error)
            # Many files of other people hold settings or pictures only.
            found.judged = not (unreadable and subject.set == OTHERS)
        if subject.set != OTHERS:
            for name in peers.PEERS:
                if peers.installed(name):
                    found.peers[name] = getattr(peers, name)(path)
    return found


def unpacked(subject: Subject, scratch: Path) -> Path:
    """Return a path to the run's files, with nothing compressed."""
    if subject.path is None:
        (scratch / "train.log").write_text(subject.text)
        return scratch / "train.log"
    if not subject.path.is_dir() or not any(subject.path.rglob("*.gz")):
        return subject.path
    target = scratch / "run"
    shutil.copytree(subject.path, target)
    for packed in list(target.rglob("*.gz")):
        packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
        packed.unlink()
    return target


def ours(path: Path) -> tuple[list[tuple[str, str]], list[tuple[str, float]], int]:
    import loganalyze as la

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = la.load(str(path))
        diagnosis = la.diagnose(run)
    return (
        [(finding.severity.value, finding.id) for finding in diagnosis.findings],
        [(cause.id, cause.probability) for cause in diagnosis.causes],
        len(run.series("train/loss")) + len(run.series("eval/loss")),
    )


@dataclass(frozen=True)
class Score:
    """What is counted over some answers."""

    answers: list[Answer]

    def recall(self) -> dict[str, tuple[int, int]]:
        """Return for each expected finding how often it was found, of how often."""
        counts: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
        for one in self.answers:
            for wanted in one.subject.expected:
                hit, of = counts[" or ".join(wanted)]
                counts[" or ".join(wanted)] = hit + bool(set(wanted) & one.said()), of + 1
        return dict(sorted(counts.items()))

    def precision(self) -> tuple[int, int]:
        """Return how many findings of severity warning or above are right, of how many."""
        of = sum(len(one.warned) for one in self.answers)
        return of - sum(len(one.wrong()) for one in self.answers), of

    def alarms(self) -> list[Answer]:
        """Return the healthy runs that were warned of."""
        return [one for one in self.answers if one.subject.healthy and one.wrong()]

    def healthy(self) -> int:
        return sum(bool(one.subject.healthy) for one in self.answers)

    def places(self) -> list[tuple[Answer, int | None]]:
        """Return for each run with a cause the place (from 0) of the first accepted one."""
        found = []
        for one in self.answers:
            if one.subject.cause is not None:
                names = [name for name, _ in one.causes]
                places = [i for i, name in enumerate(names) if name in one.subject.accepted]
                found.append((one, places[0] if places else None))
        return found

    def calibration(self) -> float | None:
        """Return the expected calibration error of the probabilities, in ten bins."""
        bins: dict[int, list[tuple[float, bool]]] = defaultdict(list)
        for one in self.answers:
            if one.subject.cause is None and not (one.subject.healthy and one.wrong()):
                continue  # nothing is known of its cause, or it has none and none was asked for
            for name, probability in one.causes:
                right = name in one.subject.accepted
                bins[min(int(10 * probability), 9)].append((probability, right))
        total = sum(len(pairs) for pairs in bins.values())
        if not total:
            return None
        return (
            sum(abs(sum(p for p, _ in pairs) - sum(r for _, r in pairs)) for pairs in bins.values())
            / total
        )


def share(hit: int, of: int) -> str:
    return f"{100 * hit / of:.1f} % ({hit}/{of})" if of else "-"


def summary(sets: dict[str, list[Answer]]) -> Iterator[str]:
    """Yield the table of all sets."""
    yield "| set | runs | recall | precision | healthy runs warned of | cause first | among three | ECE |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|"
    for name, answers in sets.items():
        score = Score(answers)
        hits = list(score.recall().values())
        places = score.places()
        first = sum(place == 0 for _, place in places)
        three = sum(place is not None and place < 3 for _, place in places)
        error = score.calibration()
        unread = sum(bool(one.problem) for one in answers)
        runs = f"{len(answers)} ({unread} without numbers)" if unread else f"{len(answers)}"
        cells = (
            name, runs, share(sum(h for h, _ in hits), sum(o for _, o in hits)),
            share(*score.precision()),
            share(len(score.alarms()), score.healthy()),
            share(first, len(places)), share(three, len(places)), "-" if error is None else f"{error:.3f}",
        )  # fmt: skip
        yield f"| {' | '.join(cells)} |"


def by_finding(sets: dict[str, list[Answer]]) -> Iterator[str]:
    """Yield the recall of each finding, beside that of the other tools."""
    chosen = {name: answers for name, answers in sets.items() if name.startswith("faults")}
    rivals = [name for name in peers.PEERS if peers.installed(name)]
    names = [f"{name}" for name in chosen]
    yield f"| finding | {' | '.join(names)} | {' | '.join(f'{r}, all' for r in rivals)} |"
    yield "|---|" + "--:|" * (len(names) + len(rivals))
    tables = [Score(answers).recall() for answers in chosen.values()]
    everyone = [one for answers in chosen.values() for one in answers]
    for finding in sorted({name for table in tables for name in table}):
        cells = [share(*table.get(finding, (0, 0))) for table in tables]
        wanted = tuple(finding.split(" or "))
        asked = [one for one in everyone if wanted in one.subject.expected]
        hits = [sum(peer_says(one, rival, wanted) for one in asked) for rival in rivals]
        cells += [share(hit, len(asked)) for hit in hits]
        yield f"| `{finding}` | {' | '.join(cells)} |"


def peer_says(one: Answer, rival: str, wanted: tuple[str, ...]) -> bool:
    return any(
        set(wanted) & peers.in_our_words(rival, name) for _, name in one.peers.get(rival) or ()
    )


def beside(sets: dict[str, list[Answer]]) -> Iterator[str]:
    """Yield the comparison with the other tools."""
    yield "| tool | runs it reads | recall, faults held-out | healthy runs warned of (of those it reads) |"
    yield "|---|--:|--:|--:|"
    every = [
        one
        for name, answers in sets.items()
        if name.startswith(("faults", "healthy"))
        for one in answers
    ]
    held_out = sets.get("faults, held-out", [])
    hits = list(Score(held_out).recall().values())
    readable = [one for one in every if not one.problem]
    healthy = [one for one in readable if one.subject.healthy]
    yield (
        f"| loganalyze | {share(len(readable), len(every))} "
        f"| {share(sum(h for h, _ in hits), sum(o for _, o in hits))} "
        f"| {share(len(Score(healthy).alarms()), len(healthy))} |"
    )
    for rival, version in peers.PEERS.items():
        if not peers.installed(rival):
            yield f"| {rival} {version} | not installed | - | - |"
            continue
        read = [one for one in every if one.peers.get(rival) is not None]
        wanted = [(one, ids) for one in held_out for ids in one.subject.expected]
        hit = sum(peer_says(one, rival, ids) for one, ids in wanted)
        healthy = [one for one in read if one.subject.healthy]
        warned = sum(any(s in WARNING for s, _ in one.peers[rival] or ()) for one in healthy)
        yield (
            f"| {rival} {version} | {share(len(read), len(every))} | {share(hit, len(wanted))} "
            f"| {share(warned, len(healthy))} |"
        )


def failures(sets: dict[str, list[Answer]]) -> Iterator[str]:
    """Yield what went wrong, run by run."""
    for name, answers in sets.items():
        lines = list(_failures_of(answers))
        if lines:
            yield f"\n### {name}\n"
            yield from lines


def _failures_of(answers: list[Answer]) -> Iterator[str]:
    places = {one.subject.id: place for one, place in Score(answers).places()}
    for one in answers:
        missed = [" or ".join(ids) for ids in one.subject.expected if not set(ids) & one.said()]
        wrong = one.wrong()
        place = places.get(one.subject.id, 0)
        parts = [one.problem] if one.problem else []
        parts += [f"missed {', '.join(f'`{m}`' for m in missed)}"] if missed else []
        parts += [f"warned of {', '.join(f'`{w}`' for w in wrong)}"] if wrong else []
        if place != 0:
            said = ", ".join(f"{name} {probability:.2f}" for name, probability in one.causes[:3])
            where = "not named" if place is None else f"in place {place + 1}"
            parts.append(f"{one.subject.cause} {where} ({said or 'no cause'})")
        if parts:
            yield f"- {one.subject.id}: {'; '.join(parts)}"


def confusion(answers: Iterable[Answer]) -> Iterator[str]:
    """Yield for each injected cause what came first instead."""
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for one, place in Score(list(answers)).places():
        first = one.causes[0][0] if one.causes else "(none)"
        table[str(one.subject.cause)]["right" if place == 0 else first] += 1
    yield "| injected | right | said first instead |"
    yield "|---|--:|---|"
    for cause, counts in sorted(table.items()):
        wrong = ", ".join(f"{n} x {name}" for name, n in counts.most_common() if name != "right")
        yield f"| {cause} | {share(counts['right'], counts.total())} | {wrong} |"


def report(answers: list[Answer], seconds: float) -> str:
    """Return all tables as Markdown."""
    sets: dict[str, list[Answer]] = {}
    for one in answers:
        sets.setdefault(one.subject.set, []).append(one)
    faults = [one for one in answers if one.subject.set.startswith("faults")]
    silent = sorted(one.subject.id for one in faults if not one.subject.expected)
    lines = ["## All sets", "", *summary(sets), "", "## Findings", "", *by_finding(sets), ""]
    lines += ["## Beside other tools", "", *beside(sets), ""]
    lines += ["## Causes of injected faults", "", *confusion(faults), ""]
    lines += ["## What went wrong", *failures(sets), ""]
    lines += [
        "## Faults whose curve shows nothing",
        "",
        "Not counted: " + (", ".join(silent) or "none") + ".",
    ]
    print(f"{len(answers)} runs in {seconds:.0f} s", file=sys.stderr)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--shared", type=Path, help="folder with cases.jsonl and corpus/")
    parser.add_argument("--write", type=Path, help="put the tables behind the mark of this page")
    parser.add_argument("--only", help="a word that the id or the set must hold")
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args()
    importlib.import_module("loganalyze")  # rather fail here than once a run
    subjects = list(injected())
    if chosen.shared:
        subjects += [*public(chosen.shared), *corpus(chosen.shared)]
    if chosen.only:
        subjects = [s for s in subjects if chosen.only in s.id or chosen.only in s.set]
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    began = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(chosen.workers) as pool:
        answers = pool.map(answer, subjects, chunksize=4)
    seconds = time.perf_counter() - began
    judged = [one for one in answers if one.judged]
    text = report(judged, seconds)
    print(text)
    if chosen.write:
        page = chosen.write.read_text() if chosen.write.exists() else f"# Accuracy\n\n{MARK}\n"
        chosen.write.write_text(page.split(MARK)[0] + f"{MARK}\n\n{text}\n")


if __name__ == "__main__":
    main()
