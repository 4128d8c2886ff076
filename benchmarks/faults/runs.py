"""Everything there is to run: the tasks, faults and healthy runs of each sitting, behind those before it.

The order decides the format of a run's log (`generate`): a new sitting goes behind the others.
"""

from __future__ import annotations

from benchmarks.faults.fifth import failures as fifth_failures
from benchmarks.faults.fifth import faults as fifth_faults
from benchmarks.faults.fifth import healthy as fifth_healthy
from benchmarks.faults.fifth import special as fifth_special
from benchmarks.faults.fifth import tasks as fifth_tasks
from benchmarks.faults.first import faults as first_faults
from benchmarks.faults.first import healthy as first_healthy
from benchmarks.faults.first import special as first_special
from benchmarks.faults.first import tasks as first_tasks
from benchmarks.faults.fourth import failures as fourth_failures
from benchmarks.faults.fourth import faults as fourth_faults
from benchmarks.faults.fourth import healthy as fourth_healthy
from benchmarks.faults.fourth import special as fourth_special
from benchmarks.faults.fourth import tasks as fourth_tasks
from benchmarks.faults.second import faults as second_faults
from benchmarks.faults.second import healthy as second_healthy
from benchmarks.faults.second import methods as second_methods
from benchmarks.faults.second import special as second_special
from benchmarks.faults.second import tasks as second_tasks
from benchmarks.faults.third import failures as third_failures
from benchmarks.faults.third import faults as third_faults
from benchmarks.faults.third import healthy as third_healthy
from benchmarks.faults.third import special as third_special
from benchmarks.faults.third import tasks as third_tasks

# Of the two newest sittings, the tasks that were looked at since, by lot. No rule is made with the others.
OPENED = frozenset(
    {
        "rivers-gru", "circuits-gat", "a2c-maze", "grpo-cards", "hf-mails", "beats-conv1d", "ratings-factors",
        "fraud-mlp", "hf-names", "clip-scents", "crops-convnext",
        "coast-segmenter", "river-seq2seq", "cookery-neox", "mosaic-resnet", "minutes-qwen",
    }
)  # fmt: skip
_NEWEST = {
    **fourth_tasks.TASKS,
    **fourth_special.SPECIAL,
    **fifth_tasks.TASKS,
    **fifth_special.SPECIAL,
}
HELD_OUT = frozenset(_NEWEST) - OPENED

TASKS = {
    **first_tasks.TASKS,
    **first_special.SPECIAL,
    **second_tasks.TASKS,
    **second_special.SPECIAL,
    **second_methods.METHODS,
    **third_tasks.TASKS,
    **third_special.SPECIAL,
    **_NEWEST,
}
FAULTS = (
    *first_faults.FAULTS,
    *second_faults.FAULTS,
    *third_faults.FAULTS,
    *third_failures.FAULTS,
    *fourth_faults.FAULTS,
    *fourth_failures.FAULTS,
    *fifth_faults.FAULTS,
    *fifth_failures.FAULTS,
)
HEALTHY = (
    *first_healthy.HEALTHY,
    *second_healthy.HEALTHY,
    *third_healthy.HEALTHY,
    *fourth_healthy.HEALTHY,
    *fifth_healthy.HEALTHY,
)
