"""Typed events in lines of text: tracebacks, out-of-memory errors, signals, loss scales, resumes."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace

from loganalyze.run import Event, EventKind, Problem, Where

MAX_PER_KIND = 50  # events of one kind that are kept; a thousand ranks say the same thing
MAX_BLOCK = 400  # lines of one traceback that are kept

UNITS = {
    "B": 1,
    "BYTES": 1,
    "KB": 1e3,
    "MB": 1e6,
    "GB": 1e9,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
}
_SIZE = r"(?<![\d.])(\d{1,15}(?:\.\d{1,9})?)\s*(bytes|[KMG]i?B|B)\b"
_SIZES = {
    "tried": re.compile(
        rf"(?:Tried|tried|trying) to allocate {_SIZE}|Attempting to allocate {_SIZE}"
    ),
    "capacity": re.compile(rf"total capacity of {_SIZE}|{_SIZE} total capacity"),
    "allocated": re.compile(rf"{_SIZE} (?:is )?(?:already )?allocated(?: by PyTorch|;|\))"),
    "free": re.compile(rf"of which {_SIZE} is free|{_SIZE} free"),
    "reserved": re.compile(rf"{_SIZE} reserved in total by PyTorch"),
    "unallocated": re.compile(rf"{_SIZE} is reserved by PyTorch but unallocated"),
}

_START = re.compile(r"Traceback \(most recent call last\)")
_BARE = re.compile(  # the last line of a traceback whose beginning is not in the log
    r"^(?:[a-z_]\w*\.)*([A-Z]\w*(?:Error|Exception)|Exception|KeyboardInterrupt|Fatal Python error"
    r"|FATAL(?=: kernel))(?::\s(.+))?$"
)
_MARKUP = " \t>`*"  # what a line is set in where it was quoted
_ASSERTION = re.compile(
    r"(?<![\w.])([\w.]{1,100}\.(?:cu|cuh|cpp|h):\d{1,9})\b.{0,500}?(Assertion [`'].{1,500}?['`] failed)"
)
_MESSAGES = (  # whose class is on another line
    ("IndexError", re.compile(r"\b(?:Target|target) -?\d{1,9} is out of bounds")),
    ("RuntimeError", re.compile(
        r"^(?:Error)?\(s\) in loading state_dict for .{1,100}"
        r"|^size mismatch for \S{1,100}: copying a param .{1,300}")),
)  # fmt: skip
_NOTEBOOK = re.compile(r"^\s*(\w+(?:Error|Exception|Interrupt))\s{2,}Traceback \(most recent")
_BODY = re.compile(
    r"^\s*(?:File \"|[|\u2502]|Traceback \()"
)  # what may follow the head of a traceback
_FRAME = re.compile(r'File "([^"]{1,500})", line (\d+)(?:, in (\S+))?')
_CUT = re.compile(  # a frame of a traceback without its head; a dump of threads has no comma
    r'^\s*File "[^"]{1,500}", line \d+, in \S'
)
_NAMES_ERROR = re.compile(r"^(?:[a-z_]\w*\.)*\w*(?:Error|Exception|Interrupt|Warning|Exit)\b")
_EXCEPTION = re.compile(r"^([A-Za-z_][\w.]*)(?::\s?(.*))?$")
_RANK = re.compile(
    r"^(?:\[?(?:default|rank|gpu)[ _]?\d+\]?:\s?|\[\d+,\d+\]<std(?:out|err)>:\s?"
    r"|\((?:\w+ )?pid=\d+(?:, ip=[\d.]+)?\)\s)", re.IGNORECASE
)  # fmt: skip
_CHAIN = ("During handling of the above exception", "The above exception was the direct cause")
_LIBRARY = re.compile(r"site-packages|dist-packages|[/\\]lib[/\\]python\d|<frozen|<string>")

# What guards say that stop a training without an error: those of MAE and BEiT, Keras, YOLOv3, TensorFlow.
STOPPED = (
    r"loss is (?:nan|inf)\w*,? (?:stopping|exiting|skipping)|invalid loss, terminating training"
    r"|non-finite loss, ending training|diverged with loss = nan"
)
# What says that the training ended early by plan: Lightning, Keras, Ultralytics, fairseq, skorch, AllenNLP,
# OpenNMT, boosting libraries, and loops of one's own. A counter that goes up, and a setting, say nothing so.
STOPPED_EARLY = (
    r"signaling trainer to stop"
    r"|\bstop(?:s|ped|ping)? (?:(?:the )?(?:training|run) )?early\b(?! ?[=:?])"
    r"|^\W*(?:epoch \d+\W+)?early[- _]?stop(?:ping|ped)?[.! ]*$"
    r"|early[- _]?stop(?:ping|ped|per)? (?:was |is |has )?(?:triggered|activated|stopped|kicked in|since\b"
    r"|because\b|at (?:the )?(?:step|epoch|iter|round)|after (?:step|epoch|iter)"
    r"|(?:criterion|condition)(?: (?:is|was))? (?:met|reached|satisfied))"
    r"|early[- ]?stop(?:ping|ped)?\s?[:,.;!(-]+\s?(?:no improvement|best|not improv)"
    r"|\bout of patience\b|patience (?:(?:is|was|has been|limit) )?(?:exhausted|ran out|run out|used up)"
    r"|patience (?:limit )?(?:reached|exceeded)\b.{0,40}\bstop"
    r"|(?:no|without) improvement\b.{0,60}\b(?:stopping|stopped|terminating|ending training)"
    r"|(?:not|n't) improve[d]?\b.{0,60}\b(?:stopping|stopped|terminating|ending training)"
    r"|\bstop(?:ped|ping)?(?: the)?(?: training)?[,:]? (?:since|because|as|due to)\b.{0,80}improve"
    r"|\btraining (?:was )?stop(?:s|ped) (?:at|after) (?:step|epoch|iter(?:ation)?|update)s? ?#?\d"
    r"|^\W*stop(?:ped|ping)? (?:training )?(?:at|after) (?:step|epoch|iter(?:ation)?|update)s? ?#?\d"
)
# The same words with a reason that is no plan.
_NO_PLAN = (
    r"(?!.*\b(?:nan|inf|error|exception|fail|diverg|signal(?!ing trainer)|interrupt|preempt"
    r"|time ?limit))"
)
SINGLE = (
    (EventKind.OOM_GPU, re.compile(
        r"CUDA out of memory|(?<!lang\.)OutOfMemoryError(?!: Task was killed)|CUDA error: out of memory"
        r"|OOM when allocating tensor|(?:RESOURCE_EXHAUSTED|ResourceExhaustedError)(?!.{0,300}No space left)"
        r"|CU(?:BLAS|DNN)_STATUS_ALLOC_FAILED|(?:HIP|XPU|NPU|MUSA|MPS backend) out of memory"
        r"|Out of memory error on GPU|cudaErrorMemoryAllocation|cudaMalloc failed: out of memory"
        r"|cuda runtime error \(2\)|error=2 : out of memory|cudaSuccess \(2 vs\. 0\)")),
    (EventKind.OOM_HOST, re.compile(
        r"DefaultCPUAllocator: (?:can't|not enough)|^MemoryError\b|numpy[\w.]*_ArrayMemoryError|oom[-_]kill"
        r"|[Oo]ut of memory: Kill|killed by signal: Killed|Cannot allocate memory|^\W*Killed(?:: 9)?\W*$"
        r"|line \d+:\s+\d+ Killed\b|^zsh: killed\b|OOMKilled|task \d+: Out Of Memory\b|TERM_MEMLIMIT"
        r"|[Ee]xceeded (?:(?:job|step) )?(?:virtual )?memory limit|job killed: v?mem\b"
        r"|using all available RAM|tried to allocate more memory than is available"
        r"|Task was killed due to the node running low on memory|java\.lang\.OutOfMemoryError"
        r"|std::bad_alloc|Unable to allocate [\d.]+ [KMGT]iB|Killed process \d|[Pp]aging file is too small")),
    (EventKind.NCCL_TIMEOUT, re.compile(
        r"Watchdog caught collective operation timeout|NCCL (?:operation|watchdog).*tim(?:ed ?out|eout)"
        r"|ProcessGroupNCCL.*timeout", re.I)),
    (EventKind.SIGNAL, re.compile(
        r"Segmentation fault|[Bb]us error|\bSIG(?:TERM|KILL|SEGV|ABRT|BUS)\b|DUE TO (?:TIME LIMIT|PREEMPTION)"
        r"|CANCELLED AT|exitcode\s*:\s*-\d+|Aborted \(core dumped\)|Floating point exception"
        r"|death signal|got signal: \d|exit(?:ed with)? (?:code|status) 137\b|TERM_RUNLIMIT"
        r"|walltime \d+ exceeded")),
    (EventKind.SYSTEM, re.compile(
        r"No space left on device|[Dd]isk quota exceeded|uncorrectable ECC|ECC_UNCORRECTABLE|NVRM: Xid"
        r"|fallen off the bus"
        r"|[Mm]achine [Cc]heck [Ee]|PCIe Bus Error|\bAER: |GPU is lost|\[Hardware Error\]|DEVICE_LOST")),
    (EventKind.LOSS_SCALE, re.compile(
        r"(?:Attempted loss scale|(?:reducing|setting) (?:loss scale )?to|loss scale overflow"
        r"|Gradient overflow)|^(?:\W*[a-z]{1,12}\W+)?loss[ _]scale\s*[:=]\s*[\d.]+(?:e[+-]?\d+)?\s*$", re.I)),
    (EventKind.SKIPPED_STEP, re.compile(  # but no count of them
        r"(?<!number of )skipp(?:ed|ing) (?:optimizer )?(?:step|update|iteration)(?!s: +0\b)", re.I)),
    (EventKind.CHECKPOINT, re.compile(
        r"Saving (?:model )?checkpoint to|saving checkpoint|Model weights saved in|checkpoint saved", re.I)),
    (EventKind.RESUME, re.compile(
        r"Resum(?:ing|ed) (?:training )?from|Continuing training from"
        r"|loaded checkpoint '|Loading states from", re.I)),
    (EventKind.HINT, re.compile(
        r"(?:Most|All) labels (?:in your dataset )?are -100|were not initialized from the model checkpoint"
        r"|newly initialized|Detected call of `lr_scheduler\.step\(\)`|pad_token.*eos_token"
        r"|requires_grad=True"
        r"|sequence length is longer than the specified maximum"
        r"|RuntimeWarning: (?:invalid value|divide by zero|overflow) encountered"
        r"|KL divergence is starting to become negative|Skipping class-dependent parameters"
        rf"|{STOPPED}", re.I)),
    (EventKind.TRAIN_END, re.compile(
        r"Training completed\.|^\s*(?:training (?:finished|complete[d]?|done)"
        r"|finished training)\b[.! ]*$|^[\s|]*done training in [\d.]+ s|after training is done\]"
        r"|`?Trainer\.fit`? stopped: `?max_|^\s*\d+ epochs completed in [\d.]+ hours"
        rf"|^{_NO_PLAN}.*?(?:{STOPPED_EARLY})", re.I)),
)  # fmt: skip
_HINTS_OF_TEXT = re.compile(
    r"memory|Memory|Killed|MEMORY|OOM|oom|EXHAUSTED|Exhausted|bad_alloc|ALLOC"
    r"|timeout|Timeout|SIG|fault|[Bb]us error|DUE TO|CANCELLED|MEMLIMIT|: killed|RUNLIMIT|walltime"
    r"|available RAM|137|cudaSuccess|cudaMalloc|runtime error"
    r"|exitcode|core dumped|Floating point|cale|overflow|OVERFLOW|skip|Skip"
    r"|heckpoint|saved|esum|Continuing|Loading states"
    r"|No space|quota|ECC|Xid|fallen off|achine [Cc]heck|PCIe Bus|out of bounds|state_dict for|size mismatch"
    r"|Trainer\.fit|epochs completed"
    r"|(?i:stopp(?:ed|ing)|stops? (?:training|early|since|at)|early[-_ ]?stop|patience|trainer to stop)"
    r"|labels|nitialized|RuntimeWarning|lr_scheduler|pad_token|requires_grad|raining|allocate|Kill"
    r"|sequence length|AER: |GPU is lost|ardware Error|DEVICE_LOST|signal|aging file|FATAL: "
    r"|KL divergence|class-dependent|(?i:loss is (?:nan|inf)|invalid loss|finite loss|loss = nan)"
    r"|Assertion|(?:^|[a-z_.\]:]\s?)[A-Z]\w{0,60}(?:Error|Exception)\b|Exception: "
    r"|KeyboardInterrupt|Fatal Python"
)
INTEREST = rf'{_HINTS_OF_TEXT.pattern}|{_START.pattern}|^\s*File "'  # in the syntax of RE2, too
_SCALE = re.compile(r"(?:to|loss[ _]scale)\s*[:=]?\s*(\d+(?:\.\d*)?(?:e[+-]?\d+)?)\s*$", re.I)


def may_be_event(text: str) -> bool:
    """Tell whether a line is worth a closer look."""
    return bool(_HINTS_OF_TEXT.search(text) or _START.search(text) or _BODY.match(text))


@dataclass
class Collector:
    """Collects events line by line; keeps the first of each kind and counts the rest."""

    source: str
    time: float | None = None  # of the last event that has one
    events: list[Event] = field(default_factory=list)
    counts: Counter[EventKind] = field(default_factory=Counter)
    _block: list[str] = field(default_factory=list)
    _waiting: list[str] = field(default_factory=list)  # the head of one whose frames did not follow
    _row: int = 0
    _place: int = 0
    _chained: bool = False
    _named: bool = False
    _is_cut: bool = False  # the open traceback has lost its head

    @property
    def is_open(self) -> bool:
        """Tell whether the next line may belong to a traceback."""
        return bool(self._block)

    @property
    def total(self) -> int:
        """Number of events seen, those not kept included."""
        return self.counts.total()

    def feed(self, text: str, bare: str, row: int, place: int) -> bool:
        """Look at one line; return True if it belongs to a traceback and holds no metrics.

        `bare` is the line without prefixes; `place` becomes the event's ``step``.
        """
        if self._block:
            if self._continue(text, row, place):
                return True
        elif _START.search(text):
            self._block, self._row, self._place = [_RANK.sub("", text)], row, place
            return True
        elif self._waiting and _BODY.match(_RANK.sub("", text)):
            self._block, self._waiting = [*self._waiting, _RANK.sub("", text)], []
            self._place = place
            return True
        elif _CUT.match(stripped := _RANK.sub("", text)):
            self._block, self._row, self._place = ["", stripped], row, place
            self._is_cut = True
            return True
        if _HINTS_OF_TEXT.search(text) and self._single(text, bare, row, place):
            return False
        self._bare(bare, row, place)
        return False

    def _bare(self, text: str, row: int, place: int) -> None:
        """Take an exception or an assertion on the device that stands alone."""
        found, frame = _BARE.match(text.strip(_MARKUP)), ""
        named = (found[1], found[2] or "") if found else None
        if named is None and (failed := _ASSERTION.search(text)):
            named, frame = ("device-side assert", failed[2]), failed[1]
        for kind, pattern in _MESSAGES if named is None else ():
            if told := pattern.search(text.strip(_MARKUP)):
                named = (kind, told[0])
        if named is not None:
            exception, message = named
            self.add(
                EventKind.TRACEBACK, text, row, place,
                exception=exception, message=message[:500], frame=frame,
            )  # fmt: skip

    def date(self, time: float | None, *, newest: bool) -> None:
        """Give a time to the newest event, or to the traceback that is being read."""
        if time is None or time != time:
            return
        self.time = time
        if newest and self.events:
            self.events[-1] = replace(self.events[-1], time=time)

    def finish(self) -> list[Problem]:
        """Close an open traceback; return what was left out."""
        self._block = self._block or self._waiting
        if self._block:
            self._close()
        return [
            Problem(f"{count - MAX_PER_KIND:,} more {kind.value} events were not kept", lossy=False)
            for kind, count in self.counts.items()
            if count > MAX_PER_KIND
        ]

    def add(
        self, kind: EventKind, text: str, row: int, step: int | None, **data: float | str
    ) -> None:
        """Add one event, unless there are enough of its kind."""
        self.counts[kind] += 1
        if self.counts[kind] <= MAX_PER_KIND:
            self.events.append(Event(kind, text, Where(self.source, row), step, self.time, data))

    def _continue(self, line: str, row: int, place: int) -> bool:
        """Take a line into the open traceback, or close it and return False.

        After the frames the first line that is not indented names the exception; then only blank
        lines and a chained traceback may follow.
        """
        text = _RANK.sub("", line)
        if len(self._block) == 1 and not _BODY.match(text):
            # Standard error comes early: its frames may follow lines of standard output.
            self._waiting, self._block = self._block, []
            return False
        if any(mark in text for mark in _CHAIN):
            self._chained, self._named = True, False
        elif _START.search(text):
            if not self._chained:
                self._close()
                self._row, self._place = row, place
            self._chained = self._named = False
        elif self._named and text[:1] == "\t":
            pass  # the message goes on: what PyTorch lists below an error is set off by tabs
        elif self._named or len(self._block) >= MAX_BLOCK:
            self._close()
            return False
        elif text[:1] not in " \t|+~^" and len(self._block) > 1:
            if self._is_cut and not _NAMES_ERROR.match(text):
                self._close()
                return False
            self._named = not self._chained
        self._block.append(text)
        return True

    def _close(self) -> None:
        block, row, step = self._block, self._row, self._place
        was_cut, self._is_cut = self._is_cut, False
        self._block, self._chained, self._named = [], False, False
        if was_cut and not any(_NAMES_ERROR.match(line) for line in block[1:]):
            return  # frames alone say where something was, not that it failed
        exception, message, frame = describe(block)
        text = "\n".join(block[1:] if was_cut else block)
        self.add(
            EventKind.TRACEBACK, text, row, step, exception=exception, message=message, frame=frame
        )
        for line in block:
            if _HINTS_OF_TEXT.search(line):
                for kind, pattern in SINGLE[:3]:
                    if pattern.search(line.strip()):
                        self.add(kind, text, row, step, **sizes(text))
                        return

    def _single(self, text: str, bare: str, row: int, step: int | None) -> bool:
        for kind, pattern in SINGLE:
            if pattern.search(text) or pattern.search(bare):
                data: dict[str, float | str] = {}
                if kind in (EventKind.OOM_GPU, EventKind.OOM_HOST):
                    data.update(sizes(text))
                elif kind is EventKind.LOSS_SCALE and (found := _SCALE.search(text)):
                    data["scale"] = float(found[1])
                self.add(kind, text, row, step, **data)
                return kind is not EventKind.HINT  # a hint may be what an exception says
        return False


def describe(block: list[str]) -> tuple[str, str, str]:
    """Return exception class, message and the innermost frame of the user's own code."""
    exception, message = "", ""
    headed = _NOTEBOOK.match(block[0])
    if headed:
        exception = headed[1]
        message = next((line.partition(": ")[2] for line in reversed(block)
                        if line.startswith(f"{exception}:")), "")  # fmt: skip
    for line in reversed(block) if not headed else ():
        found = _EXCEPTION.match(line.rstrip())
        if found:
            exception, message = found[1], (found[2] or "").strip()
            break
    frames = [(m[1], m[2], m[3]) for line in block if (m := _FRAME.search(line))]
    own = [frame for frame in frames if not _LIBRARY.search(frame[0])] or frames
    frame = ""
    if own:
        path, number, function = own[-1]
        name = path.replace("\\", "/").rsplit("/", 1)[-1]
        frame = f"{name}:{number}" + (f" in {function}" if function else "")
    return exception or "unknown exception", message[:500], frame


def sizes(text: str) -> dict[str, float]:
    """Return the sizes, in bytes, that an out-of-memory error states."""
    found = {}
    for name, pattern in _SIZES.items():
        match = pattern.search(text)
        if match:
            groups = [group for group in match.groups() if group]
            found[name] = float(groups[0]) * UNITS[groups[1].upper()]
    spare = found.pop("unallocated", None)
    if spare is not None and "allocated" in found:
        found.setdefault("reserved", found["allocated"] + spare)
    return found
