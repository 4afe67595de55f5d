"""Backups that are older than the evidence of ended consents: they put no consent in force again, and say why."""

from datetime import timedelta
from pathlib import Path

import pytest
from house import House, no_models

from tests.backup.conftest import Past
from tests.unit.store.raw import DATA
from volens import Site
from volens.consent import RefusedError
from volens.erase import RestoreOrder

EVIDENCE = timedelta(days=1827)


@pytest.fixture
def swept(past: Past) -> Past:
    """The same, long after; the evidence of Ada's withdrawal is deleted."""
    past.house.clock.time += EVIDENCE
    site = Site.open(past.home, load_extractor=no_models, clock=past.house.clock)
    assert site.sweep().outdated["consents"] == 1
    site.close()
    return past


def restore(past: Past, home: Path, order: RestoreOrder) -> object:
    random = past.house.bits.randbytes
    return Site.restore(home, order, clock=past.house.clock, random=random, progress=lambda *_: None)


def test_a_keyring_in_use_refuses_a_backup_from_before_an_end_that_it_forgot(swept: Past) -> None:
    (swept.home / DATA).unlink()
    for accept_lost in (False, True):
        order = RestoreOrder(swept.backup, in_place=True, accept_lost=accept_lost)
        with pytest.raises(RefusedError, match="older than consents that ended and whose evidence was deleted since"):
            restore(swept, swept.home, order)


def test_a_backup_with_its_own_keyring_is_refused_after_the_days_of_evidence(past: Past, tmp_path: Path) -> None:
    order = RestoreOrder(past.full_backup, root_key=past.root_key, accept_lost=True)
    past.house.clock.time += EVIDENCE
    with pytest.raises(RefusedError, match="nothing can prove who withdrew since; use a newer backup, or begin"):
        restore(past, tmp_path / "new", order)


def test_a_backup_that_was_made_after_the_end_is_restored(swept: Past, tmp_path: Path) -> None:
    site = Site.open(swept.home, load_extractor=no_models, clock=swept.house.clock)
    site.backup(tmp_path / "newer")
    site.close()
    (swept.home / DATA).unlink()

    restore(swept, swept.home, RestoreOrder(tmp_path / "newer", in_place=True))

    house = House.of(Site.open(swept.home, load_extractor=no_models, clock=swept.house.clock), swept.people())
    assert not house.sees(swept.ada)
    assert house.site.sweep().outdated == {}
    house.site.close()
