"""A sweep that is killed while it deletes outdated evidence is finished by the next one."""

import shutil
import signal
from pathlib import Path

import dying
import pytest
from house import Clock, House, no_models

from tests.unit.store.raw import DATA, KEYRING, contents
from volens import Site

DAYS = 1827


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A site of which one person withdrew, and asked before."""
    house = House.build(tmp_path_factory.mktemp("old") / "home")
    person = house.admit()
    request = house.site.rights.open("access", [person.receipt_id])
    house.site.rights.close(request.request_id, "taken back")
    house.withdraw(person)
    house.site.close()
    return house.site.home, person.receipt_id


@pytest.mark.parametrize("nth", [0, 1, 3])
def test_a_sweep_killed_after_any_step_is_finished_by_the_next(old: tuple[Path, str], tmp_path: Path, nth: int) -> None:
    template, receipt_id = old
    home = Path(shutil.copytree(template, tmp_path / "home"))
    assert dying.run(dying.sweep_and_die, home, nth, DAYS) == -signal.SIGKILL

    clock = Clock()
    clock.move(days=DAYS)
    site = Site.open(home, load_extractor=no_models, clock=clock)
    site.sweep()

    assert site.sweep().outdated == {}
    site.log.verify()
    site.check_rules()
    site.close()
    named = [name for name in (DATA, KEYRING) if receipt_id in str(contents(home / name))]
    assert named == []
    assert list((home / "certificates").iterdir()) == []
