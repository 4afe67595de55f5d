"""A restore that is killed after any durable step: a partial restore does not open, and can be run again.

Until it is finished, the refusal says what to do: `volens restore --in-place`, or `volens restore` with the backup if
the data file is missing.
"""

import shutil
from pathlib import Path

import dying
import pytest
import restoring
from house import House, no_models

from tests.backup.conftest import Past
from tests.erasure.test_bytes_after_withdrawal import files_with
from tests.unit.store.raw import DATA, KEYRING, peek
from volens import Site
from volens.consent import VolensError
from volens.erase import RestoreOrder
from volens.store.backup import root_at


def sights(past: Past, home: Path) -> list[bool] | None:
    """Return the people who match; None if the site does not open, and says what cures it."""
    try:
        site = Site.open(home, load_extractor=no_models, clock=past.house.clock)
    except VolensError as error:
        cure = "'volens restore --in-place'" if (home / DATA).exists() else "'volens restore' with a backup"
        assert cure in str(error)  # noqa: PT017  the error is one of two results
        return None
    house = House.of(site, past.people())
    seen = [house.sees(person) for person in past.people()]
    house.site.log.verify()
    assert root_at(house.store, past.head) == past.head.root
    site.close()
    return seen


def steps(tmp_path: Path, template: Path, order: RestoreOrder) -> int:
    home, result = tmp_path / "counted", tmp_path / "steps"
    if template.exists():
        shutil.copytree(template, home)
    assert dying.run(restoring.count_steps, home, order, result) == 0
    return int(result.read_text())


def test_killed_in_place_after_each_step(past: Past, tmp_path: Path) -> None:
    shutil.copy(past.backup / DATA, past.home / DATA)
    order = RestoreOrder(None, in_place=True)
    refused = served = 0
    count = steps(tmp_path, past.home, order)
    assert count > 10, count
    for nth in range(count):
        home = Path(shutil.copytree(past.home, tmp_path / f"killed-{nth}"))
        assert dying.run(restoring.restore_and_die, home, order, nth) == -9

        seen = sights(past, home)

        assert seen in (None, [False, True, False]), f"killed after step {nth}"
        refused, served = refused + (seen is None), served + (seen is not None)
        restoring.restore(home, order)
        assert peek(home / DATA, "SELECT receipt_id FROM live_consent") == [(past.bob.receipt_id,)]
        assert nth % 5 or sights(past, home) == [False, True, False], f"killed after step {nth}"
        assert files_with(home, past.sealed) == set(), f"killed after step {nth}"
    assert refused > 10
    assert served  # after the last step, which removes the mark


@pytest.mark.parametrize("again", ["with the backup", "without"])
def test_killed_in_place_with_a_backup(past: Past, tmp_path: Path, again: str) -> None:
    (past.home / DATA).unlink()
    order = RestoreOrder(past.backup, in_place=True)
    for nth in (1, 4, 6):
        home = Path(shutil.copytree(past.home, tmp_path / f"killed-{nth}"))
        assert dying.run(restoring.restore_and_die, home, order, nth) == -9
        there = (home / DATA).is_file()
        assert sights(past, home) in (None, [False, True, False])
        if there and again == "without":
            restoring.restore(home, RestoreOrder(None, in_place=True))
        elif sights(past, home) is None:
            restoring.restore(home, order)
        assert sights(past, home) == [False, True, False]


def test_killed_into_a_new_home(past: Past, tmp_path: Path) -> None:
    kept = Path(shutil.copytree(past.home, tmp_path / "kept"))
    order = RestoreOrder(past.backup, keyring=kept / KEYRING, root_key=kept / "root.key")
    count = steps(tmp_path, tmp_path / "none", order)
    for nth in range(count):
        home = tmp_path / f"killed-{nth}" / "home"
        assert dying.run(restoring.restore_and_die, home, order, nth) == -9
        if nth < count - 1:
            assert not home.exists(), f"killed after step {nth}"
            continue
        assert sights(past, home) == [False, True, False]  # the last step renames the draft
    home = tmp_path / "again" / "home"
    restoring.restore(home, order)
    assert sights(past, home) == [False, True, False]
    assert [path.name for path in home.parent.iterdir()] == ["home"]


def test_killed_when_the_secrets_of_people_enrolled_since_are_gone(past: Past, tmp_path: Path) -> None:
    """A restore of an older backup destroyed Eve's secret; then one that has her is killed after each step."""
    site = Site.open(past.home, load_extractor=no_models, clock=past.house.clock)
    site.backup(tmp_path / "with Eve")
    site.close()
    (past.home / DATA).unlink()
    assert restoring.restore(past.home, RestoreOrder(past.backup, in_place=True)).enroll_again == 1
    (past.home / DATA).unlink()
    order = RestoreOrder(tmp_path / "with Eve", in_place=True)
    refused = 0
    for nth in range(steps(tmp_path, past.home, order)):
        home = Path(shutil.copytree(past.home, tmp_path / f"killed-{nth}"))
        assert dying.run(restoring.restore_and_die, home, order, nth) == -9

        seen = sights(past, home)

        assert seen in (None, [False, True, False]), f"killed after step {nth}"
        refused += seen is None
        if nth % 3 == 0:
            restoring.restore(home, RestoreOrder(None, in_place=True) if (home / DATA).exists() else order)
            assert sights(past, home) == [False, True, False], f"killed after step {nth}"
    assert refused > 10
