import numpy as np
import pytest

from loganalyze.signals.class_counts import counts_only
from tests.builders import make_run

CLASSES, BATCH, POINTS = 8, 32, 400
RNG = np.random.default_rng(0)
FLAT = np.log(CLASSES) + RNG.normal(0, 0.01, POINTS)
CONFIG = {"num_classes": CLASSES, "train_batch_size": BATCH}


def norms_of_the_bias() -> np.ndarray:
    """Return the norm of 1/C - n/B for the class counts n of random batches."""
    counts = RNG.multinomial(BATCH, np.full(CLASSES, 1 / CLASSES), POINTS)
    return np.linalg.norm(1 / CLASSES - counts / BATCH, axis=1)


def test_the_bias_of_the_head_alone_is_known_by_its_norm() -> None:
    counts = counts_only(make_run(loss=FLAT, grad_norm=norms_of_the_bias(), config=CONFIG))
    assert counts is not None
    assert counts.bias == pytest.approx(np.sqrt((1 - 1 / CLASSES) / BATCH))
    assert counts.is_bias_alone


def test_a_constant_vector_into_the_head_scales_the_norm_and_keeps_its_spread() -> None:
    run = make_run(loss=FLAT, grad_norm=7 * norms_of_the_bias(), config=CONFIG)
    counts = counts_only(run)
    assert counts is not None
    assert not counts.is_bias_alone
    assert counts.spread == pytest.approx(counts.expected, rel=0.3)


def test_accumulated_batches_count_as_one() -> None:
    quarter = CONFIG | {"train_batch_size": BATCH // 4, "gradient_accumulation_steps": 4}
    counts = counts_only(make_run(loss=FLAT, grad_norm=norms_of_the_bias(), config=quarter))
    assert counts is not None
    assert counts.is_bias_alone


@pytest.mark.parametrize(
    "change",
    [
        {"loss": FLAT - 0.5},
        {"grad_norm": np.linalg.norm(RNG.normal(0, 0.1, (POINTS, 300)), axis=1)},
        {"grad_norm": np.zeros(POINTS)},
        {"config": {"num_classes": 1_000}},
        {"loss": FLAT[:20], "grad_norm": norms_of_the_bias()[:20]},
    ],
    ids=["learns", "many directions", "no gradient", "many classes", "few points"],
)
def test_nothing_is_said_of_other_gradients(change) -> None:
    usual = {"loss": FLAT, "grad_norm": norms_of_the_bias(), "config": CONFIG}
    assert counts_only(make_run(**usual | change)) is None
