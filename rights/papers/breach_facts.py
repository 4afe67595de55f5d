"""The facts of a personal data breach that the site knows (GDPR 33(3)): which consents, which keys, and when."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, final

from sqlalchemy import Connection

from volens.audit import read_leaf
from volens.consent import Custody, InputError, TamperError
from volens.consent.receipt import Controller
from volens.erase.order import Selection, select_live
from volens.erase.order.selection import SelectedConsent, select_left
from volens.store import Store
from volens.store.key_rotation import KeysStatus, keys_status
from volens.store.log import leaves_from, log_size
from volens.store.log.shard_entries import leaves_since
from volens.store.promises import zones
from volens.store.promises.declared_facts import site_facts

NOTIFY_WITHIN: Final = timedelta(hours=72)
"""GDPR 33(1): from the moment at which the controller has become aware of the breach."""
UNKNOWN: Final = "?"
"""The jurisdiction of a consent whose receipt is damaged."""
_SECOND: Final = timedelta(seconds=1)
_BATCH: Final = 1000


@final
@dataclass(frozen=True, slots=True)
class Group:
    """People who are counted together."""

    zone: str
    custody: Custody
    jurisdiction: str


@final
@dataclass(frozen=True, slots=True)
class BreachFacts:
    """What the site knows of the time of a breach; counts, and no person.

    Attributes:
        begun_at, ended_at: the time in which something may have been taken.
        learnt_at: when the controller became aware; None if not said.
        consents: how many were in force at any moment of that time.
        people: how many people that is; one person may have several consents.
        events: how many entries of each kind the log has of that time.
    """

    controller: Controller
    site_facts: Mapping[str, str]
    begun_at: datetime
    ended_at: datetime
    learnt_at: datetime | None
    now: datetime
    consents: Mapping[Group, int]
    people: int
    keys: KeysStatus
    events: Mapping[str, int]

    @property
    def due_at(self) -> datetime | None:
        """When the 72 hours end."""
        return None if self.learnt_at is None else self.learnt_at + NOTIFY_WITHIN

    def held_by(self, custody: Custody) -> int:
        """Return how many of the consents were of a custody."""
        return sum(count for group, count in self.consents.items() if group.custody is custody)


def breach_facts(
    store: Store, begun_at: datetime, ended_at: datetime, learnt_at: datetime | None = None
) -> BreachFacts:
    """Return what is known of a time. Cost: every receipt in force or ended since is verified, 0.2 to 0.5 ms each.

    Raises:
        InputError: the time ends before it begins, or ends or was learnt of in the future.
        TamperError: rows of the site or a leaf of the log do not verify.

    Not checked: whether anything was taken. A consent that is renewed in that time counts twice.
    """
    now = store.now()
    if begun_at > ended_at:
        raise InputError("the time of the breach ends before it begins; give --from before --to")
    if ended_at > now or (learnt_at is not None and learnt_at > now):
        raise InputError("got a moment in the future; give moments up to now")
    with store.read() as connection:
        custodies = {one.purpose: one.custody for one in zones(connection)}
        found = _in_force(connection, begun_at, ended_at)
        return BreachFacts(
            controller=store.site.controller,
            site_facts={fact.value: text for fact, text in site_facts(connection).items()},
            begun_at=begun_at,
            ended_at=ended_at,
            learnt_at=learnt_at,
            now=now,
            consents=Counter(
                Group(one.receipt.purpose, custodies[one.receipt.purpose], _jurisdiction(one)) for one in found
            ),
            people=len({one.receipt.subject_id for one in found}),
            keys=keys_status(store),
            events=_events(connection, begun_at, ended_at),
        )


def _in_force(connection: Connection, begun_at: datetime, ended_at: datetime) -> list[SelectedConsent]:
    given = Selection.declare(before=ended_at + _SECOND)
    return [one for one in select_live(connection, given) if one.inside] + select_left(connection, given, begun_at)


def _jurisdiction(consent: SelectedConsent) -> str:
    try:
        return consent.receipt.verified().claims.jurisdiction
    except TamperError:
        return UNKNOWN


def _events(connection: Connection, begun_at: datetime, ended_at: datetime) -> dict[str, int]:
    found: Counter[str] = Counter()
    for start in range(0, log_size(connection), _BATCH):
        for leaf in leaves_from(connection, start, _BATCH):
            kind, at = read_leaf(leaf)
            found[kind] += begun_at <= at <= ended_at
    for leaf in leaves_since(connection, begun_at):
        kind, at = read_leaf(leaf)
        found[kind] += begun_at <= at <= ended_at
    return {kind: count for kind, count in sorted(found.items()) if count}
