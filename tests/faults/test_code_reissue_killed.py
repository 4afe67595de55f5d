"""A code that is issued again, and the process killed at any durable step: after the opening exactly one code works."""

import shutil
import signal
from pathlib import Path

import dying
from house import Clock, House, no_models

from volens import Site
from volens.consent import NoLiveConsentError
from volens.rights.who_may_withdraw import consent_to_withdraw


def works(site: Site, code: str) -> bool:
    with site.installation.store.read() as connection:
        try:
            consent_to_withdraw(connection, None, code)
        except NoLiveConsentError:
            return False
    return True


def test_a_reissue_killed_at_any_step_leaves_exactly_one_code(tmp_path: Path) -> None:
    house = House.build(tmp_path / "template")
    person = house.admit()
    house.site.close()
    result, found = tmp_path / "code", []
    for nth, moment in ((0, "before"), (0, "after"), (1, "before"), (1, "after")):
        home = Path(shutil.copytree(tmp_path / "template", tmp_path / f"{nth}-{moment}"))
        code = dying.run(dying.reissue_and_die, home, person.receipt_id, nth, moment, result)
        assert code == -signal.SIGKILL, f"step {nth}, {moment}"
        with Site.open(home, load_extractor=no_models, clock=Clock()) as site:
            new = result.read_text()
            assert works(site, new) is not works(site, person.code)
            found.append(works(site, new))
            site.log.verify()
            assert site.withdraw(code=new if found[-1] else person.code).erased.reason == "withdrawn"
    assert found == [False, True, True, True]
