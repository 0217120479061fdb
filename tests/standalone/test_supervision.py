from forebay_standalone.supervision import RESTARTS, STEADY_SECONDS, Comeback


def test_a_program_that_dies_at_once_is_started_with_growing_pauses_and_then_no_more() -> None:
    comeback = Comeback(started=0.0)
    pauses = [comeback.died(0.0) for _ in range(RESTARTS + 1)]
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, None]


def test_a_program_that_ran_steadily_begins_with_all_its_restarts() -> None:
    comeback = Comeback(started=0.0)
    for _ in range(RESTARTS):
        comeback.died(0.0)
    comeback.restarted(1.0)
    assert comeback.died(1.0 + STEADY_SECONDS + 0.1) == 0.5
