"""What a change of a zone means for its notice: nothing, a new notice, or a new notice and consent again.

People agreed to what they were told (GDPR 4(11), 7(1)). A change that processes more than that needs their consent
again; one that processes less, or says the same with another title, needs a new notice (GDPR 13).

Not checked: whether an authority draws the line elsewhere; the list is a choice, and no legal advice.
"""

from enum import IntEnum
from typing import Final

from volens.consent.zone import LivenessLevel, Trigger, Zone

_FACES: Final = (Trigger.REQUEST, Trigger.NEAR, Trigger.PASSING)
"""Each compares more faces than the one before."""


class NoticeNeed(IntEnum):
    """What people must be told or asked; the greater one includes the smaller one."""

    NOTHING = 0
    NEW_NOTICE = 1
    CONSENT_AGAIN = 2


RECIPIENT_ADDED: Final = NoticeNeed.CONSENT_AGAIN
"""Another organisation learns of a person, who did not know it when agreeing (GDPR 13(1)(e))."""


def notice_need(before: Zone, after: Zone) -> NoticeNeed:
    """Return what a change of a zone needs: of title, retention, trigger, liveness or lease."""
    needs = [NoticeNeed.NOTHING]
    if before.title != after.title or before.retention_days != after.retention_days:
        needs.append(NoticeNeed.NEW_NOTICE)
    if before.trigger is not after.trigger:
        is_more = _FACES.index(after.trigger) > _FACES.index(before.trigger)
        needs.append(NoticeNeed.CONSENT_AGAIN if is_more else NoticeNeed.NEW_NOTICE)
    if before.liveness is not after.liveness:
        # A model for liveness computes more from a face than people were told; the head turn and nothing do not.
        is_more = after.liveness is LivenessLevel.PACK
        needs.append(NoticeNeed.CONSENT_AGAIN if is_more else NoticeNeed.NEW_NOTICE)
    if before.after_lease is not after.after_lease:
        needs.append(NoticeNeed.NEW_NOTICE)
    if before.lease_seconds != after.lease_seconds:
        is_more = after.lease_seconds > before.lease_seconds
        needs.append(NoticeNeed.CONSENT_AGAIN if is_more else NoticeNeed.NEW_NOTICE)
    return max(needs)
