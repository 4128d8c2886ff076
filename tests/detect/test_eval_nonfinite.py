import numpy as np

from loganalyze.detect.eval_nonfinite import DETECTOR, detect
from loganalyze.finding import NotApplicable, Severity
from loganalyze.settings import NoSettings
from tests.builders import make_run

S = NoSettings()
RNG = np.random.default_rng(0)


def test_a_nan_evaluation_beside_a_finite_training_is_a_warning() -> None:
    (found,) = detect(make_run(loss=[3, 2, 1], eval_loss=[2, np.nan, np.nan]), S)
    assert found.id == DETECTOR.id
    assert found.severity is Severity.WARNING
    assert found.evidence["first_step"] == 2
    assert found.evidence["count"] == 2


def test_a_metric_of_an_empty_class_and_a_run_that_is_nan_itself_are_notes() -> None:
    (found,) = detect(make_run(loss=[3, 2], eval_loss=[2, 1], eval_iou_cat=[np.nan, np.nan]), S)
    assert found.severity is Severity.INFO
    (found,) = detect(make_run(loss=[3, np.nan], eval_loss=[2, np.nan]), S)
    assert found.severity is Severity.INFO


def test_finite_evaluations_pass_and_none_is_not_judged() -> None:
    assert detect(make_run(loss=[3, 2], eval_loss=[2, 1]), S) == ()
    assert isinstance(detect(make_run(loss=[3, 2]), S), NotApplicable)
