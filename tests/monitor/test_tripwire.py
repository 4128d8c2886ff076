import math
import random

import pytest

from loganalyze.monitor.tripwire import Average, Tripwires


def calm(wires: Tripwires, points: int, seed: int = 0) -> int:
    """Feed an ordinary course; count how often a wire trips."""
    noise, trips = random.Random(seed), 0
    for step in range(points):
        loss = 2 * math.exp(-step / 300) + 1 + noise.gauss(0, 0.02)
        trips += wires.feel({"train/loss": loss, "train/grad_norm": 1 + noise.random()})
    return trips


def test_an_ordinary_course_trips_rarely():
    assert calm(Tripwires(), 1000) <= 3


@pytest.mark.parametrize(
    "odd",
    [
        {"train/loss": math.nan},
        {"train/loss": math.inf},
        {"train/loss": 4.0},
        {"train/loss": 1e7},
        {"train/grad_norm": 30.0},
        {"train/grad_norm": 1e-9},
        {"train/grad_norm": math.nan},
        {"eval/loss": math.nan},
    ],
)
def test_what_is_odd_trips(odd: dict[str, float]):
    wires = Tripwires()
    calm(wires, 200)
    wires.rearm()
    assert wires.feel(odd)


def test_a_wire_rests_until_it_is_armed_again():
    wires = Tripwires()
    calm(wires, 200)
    wires.rearm()
    assert wires.feel({"train/loss": math.nan})
    assert not wires.feel({"train/loss": math.nan})
    wires.rearm()
    assert wires.feel({"train/loss": math.nan})


def test_a_slow_rise_trips():
    wires = Tripwires()
    calm(wires, 500)
    wires.rearm()
    assert any(wires.feel({"train/loss": 1.4 + 0.01 * step}) for step in range(40))


def test_a_plateau_trips():
    wires = Tripwires()
    noise = random.Random(0)
    trips = [wires.feel({"train/loss": 2.3 + noise.uniform(-1e-4, 1e-4)}) for _ in range(250)]
    assert any(trips[200:])


def test_a_gradient_that_falls_by_a_hundredth_trips():
    wires = Tripwires()
    trips = [wires.feel({"train/grad_norm": 10.0 * 0.95**step}) for step in range(110)]
    assert any(trips[100:])
    assert not any(trips[:100])


def test_three_evaluations_without_a_new_best_trip():
    wires = Tripwires()
    trips = [wires.feel({"eval/loss": value}) for value in (1.0, 0.8, 0.85, 0.86, 0.87)]
    assert trips == [False, False, False, False, True]


def test_the_average_is_corrected_for_its_start():
    average = Average(0.99)
    average.add(3.0)
    assert average.value == pytest.approx(3.0)
    average.add(5.0)
    assert 3.0 < average.value < 5.0
