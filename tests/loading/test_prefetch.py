"""Preparing items in a thread: the order stays, errors arrive, no thread is left."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from time import monotonic, sleep

import pytest

from hydrasurr.loading.prefetch import prefetch


def threads() -> int:
    return sum(thread.name == "hydrasurr-prefetch" for thread in threading.enumerate())


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    assert threads() == 0
    yield
    assert threads() == 0


def numbers(made: list[int], size: int = 100, fail_at: int | None = None) -> Iterator[int]:
    for number in range(size):
        if number == fail_at:
            raise OSError(f"disk lost at {number}")
        made.append(number)
        yield number


@pytest.mark.parametrize("depth", [0, 1, 2, 7, 1000])
def test_order(depth: int) -> None:
    assert list(prefetch(numbers([]), depth)) == list(range(100))


@pytest.mark.parametrize("depth", [0, 3])
def test_nothing(depth: int) -> None:
    assert list(prefetch(iter(()), depth)) == []


@pytest.mark.parametrize("depth", [0, 1, 5])
def test_an_error_comes_after_the_items_before_it(depth: int) -> None:
    seen = []
    with pytest.raises(OSError, match="disk lost at 7"):
        for number in prefetch(numbers([], fail_at=7), depth):
            seen.append(number)
    assert seen == list(range(7))


def test_an_exit_in_the_thread_arrives_too() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyboardInterrupt

    stream = prefetch(items(), 2)
    assert next(stream) == 1
    with pytest.raises(KeyboardInterrupt):
        next(stream)


@pytest.mark.parametrize("depth", [1, 3])
def test_works_ahead_but_not_further_than_the_depth(depth: int) -> None:
    made: list[int] = []
    stream = prefetch(numbers(made), depth)
    assert made == [], "nothing starts before the first item is asked for"
    for asked in range(1, 6):
        assert next(stream) == asked - 1
        ahead = asked + depth + 1  # one is in hand, waiting for a place
        until = monotonic() + 60
        while len(made) < ahead and monotonic() < until:
            sleep(0.01)
        sleep(0.05)
        assert len(made) == ahead
    stream.close()


def test_depth_zero_makes_items_when_they_are_asked_for() -> None:
    made: list[int] = []
    stream = prefetch(numbers(made), 0)
    assert (next(stream), made, threads()) == (0, [0], 0)


@pytest.mark.parametrize("seen", [1, 5])
def test_closing_early_stops_the_thread(seen: int) -> None:
    made: list[int] = []
    stream = prefetch(numbers(made, size=10**9), 3)
    for _ in range(seen):
        next(stream)
    assert threads() == 1
    stream.close()
    assert threads() == 0
    stopped = len(made)
    sleep(0.05)
    assert len(made) == stopped


def test_leaving_a_loop_stops_the_thread() -> None:
    def first(size: int) -> int:
        for number in prefetch(numbers([], size), 2):
            return number
        return -1

    assert first(10**9) == 0
    assert threads() == 0


def test_an_error_of_the_consumer_stops_the_thread() -> None:
    with pytest.raises(ZeroDivisionError):
        for number in prefetch(numbers([], 10**9), 2):
            1 / number
    assert threads() == 0


def test_two_at_once() -> None:
    pairs = zip(prefetch(numbers([]), 2), prefetch(numbers([]), 3), strict=True)
    assert all(a == b for a, b in pairs)
