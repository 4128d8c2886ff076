import pytest

from loganalyze.finding import Finding, Severity
from loganalyze.live.standing import Standing, look
from loganalyze.live.stopping import NOT_YET, reason_to_stop


def standing(*findings: Finding, looks: int = 2) -> Standing:
    found = Standing()
    for points in range(looks):
        found, _ = look(found, findings, points)
    return found


def finding(
    identifier: str, severity: Severity = Severity.CRITICAL, confidence: float = 0.9
) -> Finding:
    return Finding(identifier, severity, confidence, identifier, identifier)


def stops(
    found: Standing,
    step: int = 100,
    planned: int | None = 1000,
    level: Severity = Severity.CRITICAL,
) -> bool:
    return reason_to_stop(found, level, step, planned) is not None


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


def test_the_names_are_those_of_detectors():
    from loganalyze.detect import DETECTORS

    assert {detector.id for detector in DETECTORS} >= NOT_YET
