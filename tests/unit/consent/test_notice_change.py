"""What a change of a zone means for its notice and for people who agreed."""

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.consent.samples import zone
from volens.consent.notice_change import NoticeNeed, notice_need
from volens.consent.zone import AfterLease, FpirTarget, LivenessLevel, Trigger


@pytest.mark.parametrize(
    ("changes", "need"),
    [
        ({}, NoticeNeed.NOTHING),
        ({"fpir": FpirTarget.STRICT}, NoticeNeed.NOTHING),
        ({"title": "Lobby East"}, NoticeNeed.NEW_NOTICE),
        ({"retention_days": 30}, NoticeNeed.NEW_NOTICE),
        ({"trigger": Trigger.REQUEST}, NoticeNeed.NEW_NOTICE),
        ({"trigger": Trigger.PASSING}, NoticeNeed.CONSENT_AGAIN),
        ({"liveness": LivenessLevel.CHALLENGE}, NoticeNeed.NEW_NOTICE),
        ({"liveness": LivenessLevel.PACK}, NoticeNeed.CONSENT_AGAIN),
        ({"lease_seconds": 61}, NoticeNeed.CONSENT_AGAIN),
        ({"lease_seconds": 5}, NoticeNeed.NEW_NOTICE),
        ({"after_lease": AfterLease.BADGE}, NoticeNeed.NEW_NOTICE),
        ({"title": "East", "trigger": Trigger.PASSING}, NoticeNeed.CONSENT_AGAIN),
    ],
)
def test_what_processes_more_than_people_were_told_asks_them_again(changes: dict[str, Any], need: NoticeNeed) -> None:
    before = zone(lease_seconds=60)
    assert before.trigger is Trigger.NEAR
    assert notice_need(before, replace(before, **changes)) is need
