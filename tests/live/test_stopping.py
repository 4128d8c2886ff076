from collections.abc import Sequence

import numpy as np
import pytest

from loganalyze.finding import Finding, Severity
from loganalyze.live.standing import Standing, look
from loganalyze.live.stopping import MENDABLE, NOT_YET, reason_to_stop
from tests.builders import make_run


def standing(*findings: Finding, looks: int = 2) -> Standing:
    found = Standing()
    for points in range(looks):
        found, _ = look(found, findings, points)
    return found


def finding(
    identifier: str, severity: Severity = Severity.CRITICAL, confidence: float = 0.9
) -> Finding:
    return Finding(identifier, severity, confidence, identifier, identifier, steps=(50, 100))


def stops(
    found: Standing,
    step: int = 100,
    planned: int | None = 1000,
    level: Severity = Severity.CRITICAL,
    loss: Sequence[float] | None = None,
) -> bool:
    loss = [1.0] * 10 if loss is None else loss
    steps = np.linspace(step / 10, step, len(loss)).astype(int)
    run = make_run(loss=loss, steps=steps, planned_steps=planned)
    return reason_to_stop(found, level, run) is not None


def test_a_confirmed_critical_finding_is_a_reason():
    assert stops(standing(finding("loss-divergence")))
    assert not stops(standing(finding("loss-divergence"), looks=1))
    assert not stops(standing(finding("loss-divergence", Severity.WARNING)))
    assert stops(standing(finding("loss-divergence", Severity.WARNING)), level=Severity.WARNING)


def test_one_that_went_away_is_none():
    found, _ = look(standing(finding("loss-divergence")), [], 9)
    assert not stops(found)


def test_one_that_names_a_doubt_is_none():
    assert not stops(standing(finding("loss-divergence", confidence=0.6)))


@pytest.mark.parametrize("identifier", sorted(NOT_YET))
def test_what_did_not_happen_yet_may_still_happen(identifier: str):
    assert not stops(standing(finding(identifier)), step=499)
    assert stops(standing(finding(identifier)), step=500)
    assert not stops(standing(finding(identifier)), step=500, planned=None)


@pytest.mark.parametrize("identifier", sorted(MENDABLE))
def test_a_loss_that_comes_down_again_mends_itself(identifier: str):
    up_and_down = [0.5] * 50 + list(np.geomspace(4.0, 1.3, 50))
    up_and_up = [0.5] * 50 + list(np.geomspace(1.3, 4.0, 50))
    assert not stops(standing(finding(identifier)), loss=up_and_down)
    assert stops(standing(finding(identifier)), loss=up_and_up)
    assert stops(standing(finding(identifier)), loss=[0.5] * 50 + [4.0] * 50)
    assert stops(standing(finding("loss-zero")), loss=up_and_down), "another matter"


def test_the_names_are_those_of_detectors():
    from loganalyze.detect import DETECTORS

    assert {detector.id for detector in DETECTORS} >= NOT_YET | MENDABLE


def test_a_short_rise_that_stays_below_the_start_may_be_a_phase():
    def up(at: float, share: float) -> bool:
        evidence = {"final_loss": at, "initial_loss": 2.4}
        found = Finding(
            "loss-divergence", Severity.CRITICAL, 0.9, "t", "s",
            steps=(int(1000 * (1 - share)), 1000), evidence=evidence,
        )  # fmt: skip
        return stops(standing(found), step=1000, planned=3000, loss=[1.0] * 100)

    assert not up(1.5, 0.1)
    assert up(1.5, 0.3)
    assert up(2.6, 0.1)
