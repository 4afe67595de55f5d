"""Two releases serve one site for the length of a rollout: this one is the old one, the next one is in a process."""

from pathlib import Path

import pytest
from house import House
from next_release import make_next_release, running

from tests.unit.store.raw import peek
from volens.consent import UnavailableError
from volens.store import DATA_FILE


def test_old_and_new_nodes_serve_together_until_the_old_ones_have_ended(house: House, tmp_path: Path) -> None:
    data = house.site.home / DATA_FILE
    first = house.admit()
    house.site.feed.follow()
    release = make_next_release(tmp_path / "next")
    old_id = str(house.store.process_id)
    with running(release, house.site.home) as new:
        # The new release does not break the old one by itself.
        refused = new.ask("open")
        assert refused["error"] == "UnavailableError"
        assert old_id in refused["text"]
        assert "volens upgrade expand" in refused["text"]

        # 1. Expand: the old process goes on, and can be started again.
        assert new.ask("step", step="expand") == ["next_expand", True]
        assert house.sees(first)
        second = house.admit()
        house.site.feed.leave()
        house.reopen()
        house.site.check_rules()
        house.site.feed.follow()
        old_id = str(house.store.process_id)

        # 2. Both identify, enroll and withdraw.
        assert new.ask("open") == "next_expand"
        new.ask("follow")
        third = new.admit()
        house.site.feed.follow()
        assert all(new.sees(one) and house.sees(one) for one in (first, second, third))
        assert new.withdraw(first) == house.withdraw(third).reason
        house.site.feed.follow()
        new.ask("follow")
        assert not any(new.sees(one) or house.sees(one) for one in (first, third))
        assert new.sees(second)
        assert house.sees(second)
        assert sorted(peek(data, "SELECT revision, host FROM process")) == [("baseline", None), ("next", "new")]
        assert new.ask("check") is None
        house.site.log.verify_entries()
        house.site.log.verify_rows()

        # 3. Contract: not before the old one has ended.
        refused = new.ask("step", step="contract")
        assert refused["error"] == "UnavailableError"
        assert old_id in refused["text"]
        house.site.feed.leave()
        assert new.ask("step", step="contract") == ["next", False]
        with pytest.raises(UnavailableError, match="upgraded to the schema 'next' of a newer Volens"):
            house.sees(second)
        with pytest.raises(UnavailableError, match="written by a newer Volens"):
            house.reopen()
        assert new.sees(second)
        assert new.ask("check") is None
