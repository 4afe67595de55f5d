"""What callers see of an invitation: who made it, who holds its link, and the desk's list."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import final

from volens.consent import Notice, Purpose, Zone
from volens.consent.invitation import InvitationState, InvitationToken
from volens.consent.reason import Reason
from volens.enroll.invitation_table import Invitee


@final
@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation that was made or sent again, with the token of its link.

    Attributes:
        language: of the notice that the person will be shown.
    """

    invitation_id: str
    zone: Purpose
    name: str = field(repr=False)
    language: str
    expires_at: datetime
    token: InvitationToken


@final
@dataclass(frozen=True, slots=True)
class InvitationView:
    """What the holder of an open invitation's token may see.

    Attributes:
        notice: the newest notice of the zone, which the person reads before signing.
        name: as the desk wrote it; the person may correct it.
        valid_days, valid_until: the term to offer, or its end; both None for the zone's retention.
        is_linked: the consent will be linked to an id in the staff list.
    """

    zone: Zone
    notice: Notice
    name: str = field(repr=False)
    language: str
    jurisdiction: str
    valid_days: int | None
    valid_until: datetime | None
    expires_at: datetime
    is_linked: bool


@final
@dataclass(frozen=True, slots=True)
class ListedInvitation:
    """An invitation as the desk sees it. `name` is None once it has ended, or if it does not open."""

    invitation_id: str
    zone: Purpose
    name: str | None = field(repr=False)
    state: InvitationState
    language: str
    jurisdiction: str
    is_linked: bool
    invited_by: str
    invited_at: datetime
    expires_at: datetime


@final
@dataclass(frozen=True, slots=True)
class InvitationsPage:
    """A part of the desk's list; `total` is the length of the whole list."""

    entries: tuple[ListedInvitation, ...]
    total: int


@final
@dataclass(frozen=True, slots=True)
class InvitedRow:
    """What became of a row of a table.

    Attributes:
        number: of the row in the file; the heading is 1.
        reason: why there is no invitation; empty if there is one.
        code: of that reason; None if there is an invitation, or the reason has no code.
    """

    number: int
    person: Invitee
    invitation: Invitation | None
    reason: str
    code: Reason | None = None
