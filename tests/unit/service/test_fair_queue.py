"""Fair queue: zones and callers take turns, one call of a caller at a time, and the longest queue makes room."""

import asyncio
import threading
from collections.abc import Callable

import pytest
from patience import PATIENCE_S

from volens.service.http.fair_queue import FairQueue, Lane
from volens.service.http.thread_pool import BusyError, ThreadPool


def queue_of(*calls: str, per_caller: int | None = None) -> FairQueue[str]:
    """Return a queue of calls such as "lobby/ada 1": zone, caller, number."""
    queue = FairQueue[str](per_caller)
    for call in calls:
        queue.put(lane_of(call), call)
    return queue


def lane_of(call: str) -> Lane:
    zone, _, caller = call.partition(" ")[0].partition("/")
    return Lane(zone, caller)


def taken_from(queue: FairQueue[str]) -> list[str]:
    found = []
    while (taken := queue.take()) is not None:
        assert taken[0] == lane_of(taken[1])
        found.append(taken[1])
        queue.done(taken[0])
    return found


@pytest.mark.parametrize(
    ("waiting", "order"),
    [
        pytest.param([], [], id="nothing waits"),
        pytest.param(["a/x 1", "a/x 2", "a/x 3"], ["a/x 1", "a/x 2", "a/x 3"], id="one caller keeps its order"),
        pytest.param(
            ["a/x 1", "a/x 2", "a/x 3", "a/y 1"], ["a/x 1", "a/y 1", "a/x 2", "a/x 3"], id="callers take turns"
        ),
        pytest.param(
            ["a/x 1", "a/y 1", "a/z 1", "b/u 1"], ["a/x 1", "b/u 1", "a/y 1", "a/z 1"], id="zones take turns first"
        ),
        pytest.param(["/ 1", "/ 2", "b/x 1"], ["/ 1", "b/x 1", "/ 2"], id="calls of no zone share a lane"),
    ],
)
def test_zones_and_callers_take_turns(waiting: list[str], order: list[str]) -> None:
    assert taken_from(queue_of(*waiting)) == order


def test_a_call_of_a_caller_waits_while_another_one_runs() -> None:
    queue = queue_of("a/x 1", "a/x 2", "b/x 3", "a/y 1", "/ 1", "/ 2", per_caller=1)
    running = [queue.take() for _ in range(4)]
    # Also in another zone; calls without a caller are not limited.
    assert [one[1] for one in running if one] == ["a/x 1", "/ 1", "a/y 1", "/ 2"]
    assert queue.take() is None
    queue.done(Lane("a", "x"))
    assert queue.take() == (Lane("b", "x"), "b/x 3")
    assert queue.take() is None


def test_a_zone_whose_call_runs_has_had_its_turn() -> None:
    queue = queue_of("a/x 1")
    assert queue.take() == (Lane("a", "x"), "a/x 1")
    for call in ("a/x 2", "a/y 3", "b/u 1", "a/x 4", "c/v 1"):
        queue.put(lane_of(call), call)
    queue.done(Lane("a", "x"))
    assert taken_from(queue) == ["b/u 1", "c/v 1", "a/x 2", "a/y 3", "a/x 4"]


def test_a_zone_that_comes_again_and_again_does_not_overtake_one_that_waits() -> None:
    queue, order = queue_of("a/x 1", "a/x 2", "a/x 3", "b/u 1"), list[str]()
    for number in range(2, 5):
        taken = queue.take()
        assert taken is not None
        order.append(taken[1])
        queue.put(Lane("b", "u"), f"b/u {number}")
        queue.done(taken[0])
    assert (order + taken_from(queue))[:6] == ["a/x 1", "b/u 1", "a/x 2", "b/u 2", "a/x 3", "b/u 3"]


@pytest.mark.parametrize(
    ("waiting", "new", "dropped"),
    [
        pytest.param(["a/x 1", "a/x 2", "a/x 3"], "a/y 1", "a/x 3", id="the newest of the longest queue"),
        pytest.param(["a/x 1", "a/x 2", "a/x 3"], "a/x 4", None, id="never one's own"),
        pytest.param(["a/x 1", "a/x 2", "a/y 1"], "a/y 2", None, id="not for a queue that would become as long"),
        pytest.param(["a/x 1", "a/y 1"], "a/z 1", None, id="not the only call of another caller"),
        pytest.param([], "a/x 1", None, id="nothing waits"),
    ],
)
def test_the_longest_queue_makes_room_for_a_shorter_one(waiting: list[str], new: str, dropped: str | None) -> None:
    queue = queue_of(*waiting)
    assert queue.drop_for(lane_of(new)) == dropped
    assert sorted(taken_from(queue)) == sorted(one for one in waiting if one != dropped)


def test_a_caller_that_fills_the_pool_keeps_no_other_caller_out() -> None:
    go, order = threading.Event(), list[str]()

    def work(name: str) -> Callable[[], str]:
        def call() -> str:
            assert go.wait(PATIENCE_S)
            order.append(name)
            return name

        return call

    async def run() -> None:
        pool = ThreadPool("test", workers=1, waiting=3, per_caller=1)
        loud = [asyncio.create_task(pool.run(work(f"loud {n}"), zone="a", caller="loud")) for n in range(4)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await pool.run(work("loud again"), zone="a", caller="loud")
        quiet = asyncio.create_task(pool.run(work("quiet"), zone="a", caller="quiet"))
        with pytest.raises(BusyError):
            await loud[3]
        assert pool.in_use == 4
        go.set()
        assert await quiet == "quiet"
        assert await asyncio.gather(*loud[:3]) == ["loud 0", "loud 1", "loud 2"]
        assert pool.in_use == 0
        pool.close()

    asyncio.run(run())
    # One call runs already, and the first that waits has its turn.
    assert order.index("quiet") <= 2


def test_one_caller_never_has_two_threads_of_a_pool() -> None:
    begun, go = threading.Semaphore(0), threading.Event()

    def work() -> None:
        begun.release()
        assert go.wait(PATIENCE_S)

    async def run() -> None:
        pool = ThreadPool("test", workers=3, waiting=3, per_caller=1)
        loud = [asyncio.create_task(pool.run(work, caller="loud")) for _ in range(4)]
        quiet = asyncio.create_task(pool.run(work, caller="quiet"))
        for _ in range(2):
            assert await asyncio.to_thread(begun.acquire, timeout=PATIENCE_S)
        # Both callers run, and the third thread stays free for another one.
        other = asyncio.create_task(pool.run(work, caller="other"))
        assert await asyncio.to_thread(begun.acquire, timeout=PATIENCE_S)
        assert not begun.acquire(blocking=False)
        go.set()
        await asyncio.gather(*loud, quiet, other)
        pool.close()

    asyncio.run(run())


def test_a_call_that_fails_ends_the_turn_of_its_caller() -> None:
    def fail() -> None:
        raise ValueError("as meant")

    async def run() -> None:
        pool = ThreadPool("test", workers=2, waiting=2, per_caller=1, turnstile=threading.Semaphore(1))
        for _ in range(3):
            with pytest.raises(ValueError, match="as meant"):
                await pool.run(fail, caller="x")
        assert await pool.run(lambda: 1, caller="x") == 1
        pool.close()

    asyncio.run(run())
