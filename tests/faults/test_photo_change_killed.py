"""New photos whose change is killed at any durable step: the person has exactly one reference, and matches."""

import shutil
import signal
from pathlib import Path

import dying
from house import Clock, House

from volens import Extractor, Site
from volens.consent import SubjectKey
from volens.service import samples


def test_a_change_of_photos_killed_at_any_step_leaves_one_reference_that_matches(tmp_path: Path) -> None:
    extractor = Extractor.load_default()
    photos = samples.views(samples.astronaut(), 4)
    house = House.build(tmp_path / "template")
    house.reopen(lambda: extractor)
    notice, key = house.site.notice("lobby"), SubjectKey.from_seed(bytes(32))
    receipt = house.site.give_consent(notice, name="Ada", jurisdiction="FR", key=key).to_json()
    house.site.enroll(receipt, photos[:3])
    house.site.close()
    result = tmp_path / "steps"
    counted = Path(shutil.copytree(tmp_path / "template", tmp_path / "counted"))
    assert dying.run(dying.add_a_photo_and_die, counted, receipt, -1, "after", result) == 0
    steps = int(result.read_text())
    assert steps >= 3
    found = []
    for nth, moment in [(0, "before"), *((nth, "after") for nth in range(steps))]:
        home = Path(shutil.copytree(tmp_path / "template", tmp_path / f"{nth}-{moment}"))
        assert dying.run(dying.add_a_photo_and_die, home, receipt, nth, moment, result) == -signal.SIGKILL
        with Site.open(home, load_extractor=lambda: extractor, clock=Clock()) as site:
            (face,) = site.identify("lobby", photos[3]).faces
            assert face.match is not None
            (references,) = (zone.references for zone in site.status().zones)
            assert list(references.values()) == [1]
            found.append(face.match.reference_id)
            site.log.verify()
            erased = site.withdraw(receipt=receipt).erased
            assert erased.reason == "withdrawn"
        shutil.rmtree(home)
    assert (found[0], set(found[1:])) == (1, {2})
