"""Speed from byte counts."""

from tf_tester.core.text.speed import Speed


def test_a_count_that_begins_anew_does_not_make_a_negative_speed() -> None:
    speed = Speed()
    speed.observe(0.0, 100)
    speed.observe(1.0, 10)
    speed.observe(2.0, 30)
    assert speed.per_second(2.0) == 20.0


def test_the_speed_of_a_resumed_file_counts_only_what_came_now() -> None:
    speed = Speed()
    speed.observe(0.0, 400_000_000)
    speed.observe(2.0, 420_000_000)
    assert speed.per_second(2.0) == 10_000_000
