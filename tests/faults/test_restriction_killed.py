"""A restriction that is killed at any durable step is recorded or not, and a recorded one holds."""

import shutil
import signal
from pathlib import Path

import dying
from house import Clock, House, no_models

from volens import Site


def test_a_restriction_killed_at_any_step_holds_if_it_was_recorded(tmp_path: Path) -> None:
    house = House.build(tmp_path / "template")
    person, stayer = house.admit(), house.admit()
    house.site.close()
    found = []
    for nth, moment in ((0, "before"), (0, "after"), (1, "before"), (1, "after")):
        home = Path(shutil.copytree(tmp_path / "template", tmp_path / f"{nth}-{moment}"))
        code = dying.run(dying.restrict_and_die, home, person.receipt_id, nth, moment)
        assert code == -signal.SIGKILL, f"step {nth}, {moment}"
        again = House.of(Site.open(home, load_extractor=no_models, clock=Clock()))
        is_restricted = again.site.changes.restricted_since(person.receipt_id) is not None
        assert again.sees(person) is not is_restricted
        assert again.sees(stayer)
        found.append(is_restricted)
        again.site.changes.restrict(person.receipt_id)
        assert not again.sees(person)
        again.site.log.verify()
        again.site.close()
    assert found == [False, True, True, True]


def test_a_lifting_killed_at_any_step_leaves_one_of_the_two(tmp_path: Path) -> None:
    house = House.build(tmp_path / "template")
    person = house.admit()
    house.site.changes.restrict(person.receipt_id)
    house.site.close()
    found = []
    for nth, moment in ((0, "before"), (0, "after"), (1, "before"), (1, "after")):
        home = Path(shutil.copytree(tmp_path / "template", tmp_path / f"{nth}-{moment}"))
        code = dying.run(dying.resume_and_die, home, person.receipt_id, nth, moment)
        assert code == -signal.SIGKILL, f"step {nth}, {moment}"
        again = House.of(Site.open(home, load_extractor=no_models, clock=Clock()))
        found.append(again.sees(person))
        assert found[-1] is (again.site.changes.restricted_since(person.receipt_id) is None)
        again.site.log.verify()
        again.site.close()
    assert found == [False, True, True, True]
