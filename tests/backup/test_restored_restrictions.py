"""A restriction since the backup: its row is lost, nothing says whose it was, and nobody is matched against it."""

from pathlib import Path

from house import House, no_models
from restoring import restore

from volens import Site
from volens.erase import RestoreOrder


def test_a_consent_that_may_have_been_paused_since_the_backup_is_paused(tmp_path: Path) -> None:
    house = House.build(tmp_path / "home")
    paused, resumed, linked, unchanged = (house.admit() for _ in range(4))
    house.site.changes.restrict(resumed.receipt_id)
    house.site.backup(tmp_path / "backup")
    house.site.changes.restrict(paused.receipt_id)
    house.site.changes.lift_restriction(resumed.receipt_id)
    house.site.link_external_id(linked.receipt_id, "4711")
    home = house.site.home
    house.site.close()
    (home / "volens.db").unlink()

    restored = restore(home, RestoreOrder(tmp_path / "backup", in_place=True))

    assert restored.restricted == 3
    house.clock.move(hours=2)  # as `restore` says
    again = House.of(Site.open(home, load_extractor=no_models, clock=house.clock))
    assert [again.sees(one) for one in (paused, resumed, linked, unchanged)] == [False, False, False, True]
    assert again.site.changes.lift_restriction(linked.receipt_id)
    assert again.sees(linked)
    again.site.log.verify()
    again.site.close()


def test_without_a_restriction_since_the_backup_nobody_is_paused(tmp_path: Path) -> None:
    house = House.build(tmp_path / "home")
    person = house.admit()
    house.site.backup(tmp_path / "backup")
    house.site.link_external_id(person.receipt_id, "4711")
    home = house.site.home
    house.site.close()
    (home / "volens.db").unlink()
    assert restore(home, RestoreOrder(tmp_path / "backup", in_place=True)).restricted == 0
    house.clock.move(hours=2)  # as `restore` says
    again = House.of(Site.open(home, load_extractor=no_models, clock=house.clock))
    assert again.sees(person)
    again.site.close()
