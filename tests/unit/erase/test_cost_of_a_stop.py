"""The cost of ending one consent does not grow with the number of people, counted in steps of SQLite."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from house import House
from sqlalchemy import Engine, event

from volens.consent import EndReason
from volens.erase import erase_consents

STEPS_TOGETHER = 10


@contextmanager
def counted_steps() -> Iterator[list[int]]:
    """Count the virtual machine steps, in tens, of all statements of connections that are made in the block."""
    count = [0]

    def step() -> int:
        count[0] += 1
        return 0

    def observe(connection: sqlite3.Connection, _record: object) -> None:
        connection.set_progress_handler(step, STEPS_TOGETHER)

    event.listen(Engine, "connect", observe)
    try:
        yield count
    finally:
        event.remove(Engine, "connect", observe)


def steps_of_a_stop(folder: Path, people: int) -> int:
    with counted_steps() as count:
        house = House.build(folder)
        for _ in range(people):
            house.admit()
        assert house.sees(house.people[0])
        house.withdraw(house.people[0])  # the first one fills caches
        before, stopped = count[0], list[int]()
        erase_consents(
            house.site.installation,
            [house.people[1].receipt_id],
            EndReason.WITHDRAWN,
            when_stopped=lambda: stopped.append(count[0]),
        )
        house.site.close()
    return stopped[0] - before


def test_the_stop_of_one_consent_costs_the_same_among_few_and_many_people(tmp_path: Path) -> None:
    few, many = steps_of_a_stop(tmp_path / "few", 10), steps_of_a_stop(tmp_path / "many", 160)
    assert few > 100
    # A count of the references of the zone remains, three steps for each of them.
    assert many < 1.3 * few, (few, many)
