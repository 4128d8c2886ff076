from loganalyze.finding import Finding, Severity
from loganalyze.live.standing import Standing, last_look, look


def finding(identifier: str = "loss-spike", severity: Severity = Severity.CRITICAL) -> Finding:
    return Finding(identifier, severity, 0.9, identifier, f"{identifier} at step 3.")


def test_one_look_confirms_nothing():
    standing, changes = look(Standing(), [finding()], 10)
    assert [f.id for f in changes.appeared] == ["loss-spike"]
    assert not changes.confirmed
    assert standing.doubtful(Severity.CRITICAL)


def test_the_second_look_with_new_points_confirms():
    standing, _ = look(Standing(), [finding()], 10)
    standing, changes = look(standing, [finding()], 11)
    assert [f.id for f in changes.confirmed] == ["loss-spike"]
    _, changes = look(standing, [finding()], 12)
    assert not changes.confirmed, "told once"


def test_a_look_without_new_points_proves_nothing():
    standing, _ = look(Standing(), [finding()], 10)
    standing, changes = look(standing, [finding()], 10)
    assert not changes.confirmed
    assert standing.held["loss-spike"].times == 1


def test_what_is_gone_at_the_next_look_was_never_there():
    standing, _ = look(Standing(), [finding()], 10)
    standing, changes = look(standing, [], 11)
    assert not changes.recovered, "nobody was told of it"
    standing, changes = look(standing, [finding()], 12)
    assert not changes.confirmed, "it begins to count anew"


def test_a_confirmed_one_recovers_after_two_looks():
    standing = Standing()
    for points in (1, 2):
        standing, _ = look(standing, [finding()], points)
    standing, changes = look(standing, [], 3)
    assert not changes.recovered
    standing, changes = look(standing, [], 4)
    assert [f.id for f in changes.recovered] == ["loss-spike"]
    assert not standing.held


def test_one_that_comes_back_at_once_did_not_recover():
    standing = Standing()
    for points in (1, 2):
        standing, _ = look(standing, [finding()], points)
    standing, _ = look(standing, [], 3)
    standing, changes = look(standing, [finding()], 4)
    assert not changes.confirmed
    assert not changes.recovered


def test_a_worse_one_is_told_again():
    standing = Standing()
    for points in (1, 2):
        standing, _ = look(standing, [finding(severity=Severity.WARNING)], points)
    standing, changes = look(standing, [finding()], 3)
    assert not changes.confirmed, "the new severity is not confirmed yet"
    _, changes = look(standing, [finding()], 4)
    assert [f.severity for f in changes.confirmed] == [Severity.CRITICAL]


def test_the_last_look_confirms_at_once():
    _, changes = last_look(Standing(), [finding()])
    assert [f.id for f in changes.confirmed] == ["loss-spike"]


def test_the_last_look_clears_at_once():
    standing = Standing()
    for points in (1, 2):
        standing, _ = look(standing, [finding()], points)
    _, changes = last_look(standing, [])
    assert [f.id for f in changes.recovered] == ["loss-spike"]
