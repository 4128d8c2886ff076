"""Which strings of the source are texts that a reader sees, by where they stand."""

from __future__ import annotations

import re

# Room of the catalogue -> the sources whose texts stand in it.
ROOMS = {
    "findings": ("detect/*.py", "signals/*.py", "diagnosis.py", "finding.py", "run.py"),
    "causes": ("causes/*.py",),
    "compare": ("compare/*.py",),
    "report": ("report/*.py",),
    "cli": (
        "cli/*.py",
        "watch/*.py",
        "alerts/destination.py",
        "lang/*.py",
        "settings.py",
        "errors.py",
    ),
    "sources": ("ingest/*.py", "fleet/*.py"),
    "probe": ("probe/*.py",),
}
MOST = 24  # alternatives of one expression; more are a mistake of this program
# Arguments of these functions and methods are names, patterns or parts of a line, never shown.
LOOKUPS = frozenset(
    "compile series number setting flag has found get getattr search startswith endswith replace split "
    "rsplit joinpath get_template read_text encode decode strip lstrip rstrip removeprefix partition "
    "isinstance entry_points import_module field argument Argument option version_option group Choice "
    "TypeVar to_csv to_parquet to_dict add_task TextColumn run_argument evidence_number loads command "
    "Element SubElement add_axes set_xscale plot axvspan rc_context savefig TypeError AttributeError "
    "count update".split()
)
# Keywords whose value is a name, a mark or a number in disguise.
KEYS = frozenset(
    "id group requires metrics explains probe unit source help metavar prefix epilog encoding format name "
    "key color style fontsize indent hang order_by filter_string".split()
)
# Constants whose strings are shown, single words too, and those whose strings never are.
SHOWN = frozenset({"OVERVIEW", "LANES", "WORDS", "words"})
HIDDEN = frozenset(
    {
        "GPUS",
        "_FULL",
        "MARK",
        "TEXT",
        "COMMANDS",
        "_OPTIONS",
        "FAULTS",
        "_CREDENTIALS",
        "Records",
        "Known",
    }
)
# Enumerations whose values are shown.
SHOWN_ENUMS = frozenset(
    {
        "Change",
        "Fate",
        "LossKind",
        "Shape",
        "Level",
        "MarkKind",
        "Outcome",
        "MetricRole",
        "SettingKind",
        "Severity",
        "Status",
    }
)
# Strings that stand where a text could and are none: names, marks, formats of other programs.
NO_TEXT = frozenset(
    {
        " and no ",
        " and ",
        " to ",
        "title={property}",
        "upper right",
        "loganalyze {name}",
        "line={row},",
        "print([n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()])",
        "### loganalyze: {literal}\n\n{markdown}\n",
        "loganalyze report {quote}",
        "faults, held-out",
        "healthy, held-out",
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src {hashes}; base-uri 'none'; "
        "form-action 'none'",
        "{text} UTC",
        "{} to {}",
        "loganalyze {__version__}",
        "Python {python_version} on {platform}",
        "{}: {name} from {value}",
        "is not installed",
        "{}-postmortem.html",
        "<Diagnosis of {name}: {value}, {#} findings, {#} causes>",
        "objective function",
        "::notice title=loganalyze::{message}\n",
        '<?xml version="1.0" encoding="utf-8"?>\n{tostring}\n',
        "bf16",
        "bfloat16",
        "fp16",
        "float16",
        "16-mixed",
        "fp32",
        "float32",
        "lower left",
        "probe",
        "{}-probe",
        "loganalyze: {label}",
        "no message",
        'image.convert("RGB")',
        "labels[attention_mask == 0] = -100",
        "max_grad_norm 1.0",
        "model.resize_token_embeddings(len(tokenizer))",
        "model.config.pad_token_id = tokenizer.pad_token_id",
        "tokenizer.add_special_tokens({{'pad_token': '<pad>'}})",
        "log({#}) = {#}",
        "How to confirm",
        "Not to be confused with",
        "What it does",
        "Why it matters",
        "loganalyze: {}",
        "loss",
        "grad-norm",
        "learning-rate",
        "loss-scale",
        "step-time",
        "accuracy",
        "throughput",
        "memory",
        "pragma schema_version",
        "{}-scan.html",
        "loganalyze scan {join}",
        "loganalyze report {}",
        "loganalyze diff {address} {address}",
        "{quote} --run {quote}",
        "unreadable {errno}",
        "{url}: {}",
        "pragma journal_mode = delete",
        "select name from sqlite_master where type='table'",
        "pragma table_info({name})",
        ' where "run_uuid" = ?',
        "select rowid, {chosen} from {table}{where} order by rowid",
        "select key, rowid, value, timestamp, {join} from metrics where run_uuid = ? order by rowid",
        "tags.`{PARENT}` = '{run_id}'",
        "attributes.start_time DESC",
        "During handling of the above exception",
        "The above exception was the direct cause",
        '{}|{}|^\\s*File "',
        "device-side assert",
        "unknown exception",
        "lm loss",
        "{}: params",
        "{}: tags",
        "{}: hparams",
        "{}: args",
        "{}: config",
        "{relative}: output",
        "int | memoryview",
        "dict[str, tuple[IntArray, FloatArray]]",
        "{name}:{number} in {function}",
        "no mark",
        "the Trainer wrote its summary: training ended as it should",
        "the Trainer logged its summary: training ended as it should",
        "the Trainer printed its summary: training ended as it should",
        "run",
        "eval_{}",
        "loganalyze: {translate}",
        "::notice title=loganalyze::{}\n",
        "cause {} was left out: {}: {}",
        "a finding of neither run",
        "<Diff of {name} and {others}: {value}>",
    }
)
# A single word is a text in these places only.
SINKS = frozenset({"Clue", "NotApplicable", "Fact", "Verdict", "say", "translate", "_"})
SINK_KEYS = frozenset({"title", "summary", "fix", "passed", "failed", "text", "label"})
PATTERN = re.compile(r"\\[sdwb(]|NDArray")  # of an expression, or of a type
SQL = re.compile(
    r"(?:select|insert or replace|create table|create index|drop table|pragma|begin) [a-z0-9(*]"
)
NUMERIC = re.compile(r"[<>=^+]?\d*,?(?:\.\d+)?[dfge%]?")
# Values, by the name under which the source holds them: never translated.
VALUES = frozenset(
    "line message frame exception path id key splitlines error strerror ranks metric source args pattern "
    "identifier target output group pair file_stem __name__ places finding expected value_at".split()
)


def is_text(skeleton: str, sink: bool) -> bool:
    """Tell whether a skeleton holds words: letters, and a space unless it stands where texts go."""
    words = re.sub(r"\{[^}]*\}", "", skeleton)
    if (
        skeleton in NO_TEXT
        or SQL.match(skeleton)
        or PATTERN.search(words)
        or not re.search(r"[A-Za-z]{2}", words)
    ):
        return False
    return " " in skeleton.strip() or (sink and "/" not in words)
