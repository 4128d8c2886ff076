import numpy as np

from loganalyze.causes.rivals import with_rivals
from loganalyze.diagnosis import diagnose
from loganalyze.finding import Cause
from tests.builders import make_run


def cause(name: str, probability: float, *explains: str, confirm: str = "Swap the sets.") -> Cause:
    return Cause(name, name.title(), probability, explains, (), (), "", confirm)


def test_two_causes_near_one_another_are_not_separated() -> None:
    first, second = with_rivals((cause("a", 0.45, "x"), cause("b", 0.40, "x")))
    assert first.undecided == (
        "The log does not separate this from b (40%): each explains x. What would tell: Swap the sets."
    )
    assert not second.undecided


def test_a_cause_far_ahead_or_of_another_finding_is() -> None:
    far = with_rivals((cause("a", 0.6, "x"), cause("b", 0.1, "x"), cause("c", 0.5, "y")))
    assert not any(c.undecided for c in far)
    settled = with_rivals((cause("a", 0.8, "x"), cause("b", 0.7, "x")))
    assert not any(c.undecided for c in settled)


def test_each_finding_has_a_first_cause_of_its_own() -> None:
    causes = with_rivals(
        (cause("a", 0.4, "x"), cause("b", 0.4, "y"), cause("c", 0.3, "x", "y", confirm=""))
    )
    assert [bool(c.undecided) for c in causes] == [True, True, False]


def test_the_json_holds_it_without_a_weight() -> None:
    noise = np.random.default_rng(0).normal(0, 0.02, 300)
    diagnosis = diagnose(make_run(loss=np.log(10) + noise, config={"num_classes": 10}))
    undecided = [c for c in diagnosis.causes if c.undecided]
    assert undecided
    told = diagnosis.to_dict()["causes"][diagnosis.causes.index(undecided[0])]["evidence_against"]
    assert told[-1] == {"text": undecided[0].undecided, "weight": 0.0}
