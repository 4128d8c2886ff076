from loganalyze.live.pace import AFTER, EVERY, Pace


def looks(points: int, odd: set[int] = frozenset()) -> list[int]:
    pace, found = Pace(), []
    for number in range(1, points + 1):
        if pace.count(odd=number in odd):
            found.append(number)
            pace.looked()
    return found


def test_a_short_log_is_looked_at_often():
    assert looks(20) == [EVERY, 2 * EVERY, 3 * EVERY, 4 * EVERY]


def test_all_looks_together_grow_with_the_log():
    # A look costs what the log is long: together at most a fixed multiple of the log's length.
    for points in (1_000, 10_000, 100_000):
        assert sum(looks(points)) < 15 * points


def test_something_odd_is_looked_at_now_and_soon_after():
    found = looks(2_000, odd={1_500})
    assert {1_500 + after for after in AFTER} <= set(found)


def test_a_log_full_of_odd_things_is_not_looked_at_all_the_time():
    found = looks(10_000, odd=set(range(10_000)))
    assert len(found) < 0.8 * 10_000
