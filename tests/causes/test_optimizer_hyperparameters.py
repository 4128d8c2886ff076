import numpy as np
import pytest

from loganalyze.diagnosis import diagnose
from tests.builders import make_run

AT = {"eval_loss": range(38, 191, 38)}


@pytest.mark.parametrize("seed", range(3))
def test_what_creeps_on_at_an_ordinary_rate_is_learned_with_steps_too_short(seed: int) -> None:
    loss = np.linspace(33, 30.5, 190) * np.random.default_rng(seed).lognormal(0, 0.1, 190)
    evals = np.linspace(36.4, 33.5, 5)
    rate = np.full(190, 4e-3)
    found = diagnose(make_run(loss=loss, eval_loss=evals, lr=rate, steps=AT)).causes
    named = [cause.id for cause in found]
    assert "optimizer-hyperparameters" in named[:3]
    assert "labels-wrong" not in named[:2]
    slow = diagnose(make_run(loss=loss, eval_loss=evals, lr=rate / 1000, steps=AT)).causes
    assert slow[0].id == "lr-too-low"
