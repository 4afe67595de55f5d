"""A zone: one purpose, one set of doors, and the terms declared for it before the first consent is requested."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NotRequired, Self, TypedDict, TypeVar, Unpack, final

from volens.consent.errors import InputError, RefusedError, ZonePausedError
from volens.consent.ids import Purpose, parse_purpose
from volens.consent.reason import Reason
from volens.consent.times import whole_seconds
from volens.consent.typed_text import comparison_key, parse_text

DEFAULT_MATCH_HISTORY_DAYS: Final = 90
MAX_MATCH_HISTORY_DAYS: Final = 366
MAX_RETENTION_DAYS: Final = 3 * 366
"""Consent must be renewed at least every three years; CNIL's guidance for workplace biometrics expects a limit."""
MAX_TITLE_CHARACTERS: Final = 80
MIN_LEASE_SECONDS: Final = 5
"""A shorter lease would end before a door can renew it."""
MAX_LEASE_SECONDS: Final = 900
_MAX_TEXT: Final = 2000
_Kind = TypeVar("_Kind", bound=StrEnum)


class Custody(StrEnum):
    """Custody: who holds the key to a reference (CNIL model regulation 2019-001, types 1, 2 and 3)."""

    BADGE = "badge"
    SUBJECT_KEY = "subject_key"
    OPERATOR = "operator"


class SecondFactor(StrEnum):
    """The second factor, besides the face: none, the number of a badge, or a PIN."""

    NONE = "none"
    BADGE = "badge"
    PIN = "pin"


class FpirTarget(StrEnum):
    """Of strangers who look into a camera of the zone, the share that may be taken for an enrolled person (FPIR).

    ISO/IEC 19795-1, false positive identification rate; for one look. The thresholds of a model follow from it
    (`volens.face.Thresholds`).
    """

    ORDINARY = "0.1%"
    STRICT = "0.01%"


class Trigger(StrEnum):
    """What lets the doors of a zone compute an embedding of a face: until then no face there is embedded.

    NEAR: the person stops near the camera, or makes a request. REQUEST: only a request, which is a button, badge, PIN
    or QR code. PASSING: nothing; every face that the camera sees is embedded, and the notice must say so.
    """

    NEAR = "near"
    REQUEST = "request"
    PASSING = "passing"

    @classmethod
    def default(cls, custody: Custody, factor: SecondFactor) -> "Trigger":
        """Return the trigger of a new zone: a request where people show something anyway, else coming near."""
        shows = custody is not Custody.OPERATOR or factor is not SecondFactor.NONE
        return cls.REQUEST if shows else cls.NEAR


class DeskSignature(StrEnum):
    """Whether receipts may be signed at the desk, by the site's own program with a key made there."""

    ALLOWED = "allowed"
    REFUSED = "refused"


class LivenessLevel(StrEnum):
    """What a zone does against photos of a person (presentation attack detection, PAD, ISO/IEC 30107-1).

    Nothing; the head-turn challenge before each decision; or a model that the site has and whose licence it accepted.
    """

    NONE = "none"
    CHALLENGE = "challenge"
    PACK = "pack"


class AfterLease(StrEnum):
    """What a door does that has no connection and no lease any more: stay closed, or pass badges on to the panel."""

    CLOSED = "closed"
    BADGE = "badge"


class ZoneState(StrEnum):
    """Whether a zone is in use, paused by the operator, or removed for ever."""

    IN_USE = "in_use"
    PAUSED = "paused"
    REMOVED = "removed"


class Promises(TypedDict):
    """The terms of a zone when it is added; see `Zone.declare`."""

    custody: str
    justification: str | None
    alternative: str | None
    retention_days: int | None
    match_history_days: NotRequired[int]
    second_factor: NotRequired[str]
    desk_signature: NotRequired[str]
    title: NotRequired[str | None]
    fpir: NotRequired[str]
    trigger: NotRequired[str | None]
    liveness: NotRequired[str]
    lease_seconds: NotRequired[int]
    after_lease: NotRequired[str]


@final
@dataclass(frozen=True, slots=True)
class Zone:
    """A purpose with its custody, its justification, its alternative and its retention.

    Attributes:
        match_history_days: how long a person's visits are kept, so that the person can request them; 0 keeps none.
        second_factor: without it the door stays closed, even if the face matches.
        desk_signature: whether receipts may be signed at the desk; if not, each person signs with a key of their own.
        title: what people call it, such as ``Lobby East``; empty if it has none. It can change, `purpose` cannot.
        fpir: the rate of strangers accepted that the zone aims at. It can change.
        trigger: what lets its doors embed a face. It can change; before ``passing`` the notices must say so.
        liveness: what is done against photos of a person. It can change.
        lease_seconds: how long a door without a connection may still decide (`volens.consent.lease`). It can change.
        after_lease: what such a door does afterwards. It can change.
    """

    purpose: Purpose
    custody: Custody
    justification: str
    alternative: str
    retention_days: int
    created_at: datetime
    match_history_days: int = DEFAULT_MATCH_HISTORY_DAYS
    second_factor: SecondFactor = SecondFactor.NONE
    desk_signature: DeskSignature = DeskSignature.ALLOWED
    title: str = ""
    state: ZoneState = ZoneState.IN_USE
    fpir: FpirTarget = FpirTarget.ORDINARY
    trigger: Trigger = Trigger.NEAR
    liveness: LivenessLevel = LivenessLevel.NONE
    lease_seconds: int = 0
    after_lease: AfterLease = AfterLease.CLOSED

    @property
    def label(self) -> str:
        """The title with the name, ``Lobby East (lobby)``, or the name alone."""
        return f"{self.title} ({self.purpose})" if self.title else self.purpose

    @classmethod
    def declare(
        cls,
        name: str,
        *,
        now: datetime,
        **terms: Unpack[Promises],
    ) -> Self:
        """Return a zone for which consent may be requested.

        Raises:
            InputError: the name, the custody, the second factor, the rule about signatures, the rate of strangers
                accepted, the trigger, the level of liveness or the term of leases is invalid.
            RefusedError: a term is missing: an alternative for people who refuse (GDPR 7(4)), a justification for
                keeping references under the operator's control alone, or a retention of 1 to 1098 days
                (GDPR 5(1)(e)). Or a second factor is given although the person carries the key, which is one.
        """
        purpose = parse_purpose(name)
        kind = _one_of(Custody, "custody", terms["custody"])
        factor = _one_of(SecondFactor, "second factor", terms.get("second_factor", SecondFactor.NONE))
        desk = terms.get("desk_signature", DeskSignature.ALLOWED)
        retention_days = terms["retention_days"]
        match_history_days = terms.get("match_history_days", DEFAULT_MATCH_HISTORY_DAYS)
        why = _promise(terms["justification"])
        if not why and kind is Custody.OPERATOR:
            raise RefusedError(
                f"zone {purpose!r} keeps references under the operator's control but has no justification; give "
                "--justification with the reason why a badge is not enough (CNIL model regulation 2019-001, art. 9)"
            )
        instead = _promise(terms["alternative"])
        if not instead:
            raise RefusedError(
                f"zone {purpose!r} has no alternative; give --alternative with the way in for people who refuse, "
                "because consent without a choice is not free (GDPR 7(4))"
            )
        if retention_days is None or not 1 <= retention_days <= MAX_RETENTION_DAYS:
            got = "no retention" if retention_days is None else f"a retention of {retention_days} days"
            raise RefusedError(
                f"zone {purpose!r} got {got}; give --retention-days between 1 and {MAX_RETENTION_DAYS} (GDPR 5(1)(e))"
            )
        if not 0 <= match_history_days <= MAX_MATCH_HISTORY_DAYS:
            raise RefusedError(
                f"zone {purpose!r} got a match history of {match_history_days} days; give --match-history-days between "
                f"0 (none is kept) and {MAX_MATCH_HISTORY_DAYS}"
            )
        if factor is not SecondFactor.NONE and kind is not Custody.OPERATOR:
            raise RefusedError(
                f"zone {purpose!r} has custody {kind.value!r}, in which people already show something they carry "
                "besides their face; leave --second-factor out, or choose custody 'operator'"
            )
        trigger = terms.get("trigger")
        asked_by = Trigger.default(kind, factor) if trigger is None else parse_trigger(trigger)
        _check_trigger(asked_by, purpose, kind)
        lease_seconds = terms.get("lease_seconds", 0)
        _check_lease(lease_seconds, purpose, kind, factor)
        made = cls(
            *(purpose, kind, why, instead, retention_days, whole_seconds(now), match_history_days, factor),
            desk_signature=_one_of(DeskSignature, "rule about signatures at the desk", desk),
            title=parse_title(terms.get("title") or ""),
            fpir=parse_fpir(terms.get("fpir", FpirTarget.ORDINARY)),
            trigger=asked_by,
            liveness=parse_liveness(terms.get("liveness", LivenessLevel.NONE)),
            lease_seconds=lease_seconds,
            after_lease=parse_after_lease(terms.get("after_lease", AfterLease.CLOSED)),
        )
        made.check_after_lease(made.after_lease)
        return made

    def check_in_use(self) -> None:
        """Refuse to match or enroll in a zone that is paused or removed.

        Raises:
            ZonePausedError: it is paused.
            RefusedError: it was removed.
        """
        if self.state is ZoneState.PAUSED:
            raise ZonePausedError(
                f"zone {self.purpose!r} is paused; nothing is matched or enrolled there until 'volens zone resume "
                f"{self.purpose}'"
            )
        self.check_not_removed()

    def check_not_removed(self) -> None:
        """Refuse what a removed zone is not there for any more.

        Raises:
            RefusedError: it was removed.
        """
        if self.state is ZoneState.REMOVED:
            raise RefusedError(f"zone {self.purpose!r} was removed; use another zone", reason=Reason.ZONE_REMOVED)

    def check_desk_signature(self) -> None:
        """Refuse a signature at the desk if the zone does not allow it.

        Raises:
            RefusedError: each person signs with their own key there.
        """
        if self.desk_signature is DeskSignature.REFUSED:
            raise RefusedError(
                f"zone {self.purpose!r} accepts no signature made at the desk; let the person sign on their own "
                "device, with a passkey, or by 'volens consent offer', 'sign' and 'accept'"
            )

    def check_trigger(self, trigger: Trigger) -> None:
        """Refuse a trigger that does not fit the custody of the zone.

        Raises:
            RefusedError: the person holds the key there, and shows it before any face is compared.
        """
        _check_trigger(trigger, self.purpose, self.custody)

    def check_lease(self, lease_seconds: int) -> None:
        """Refuse a term of leases that the zone cannot have.

        Raises:
            InputError: it is neither 0 nor 5 to 900 seconds.
            RefusedError: people carry something in this zone, so that its doors decide online only.
        """
        _check_lease(lease_seconds, self.purpose, self.custody, self.second_factor)

    def check_after_lease(self, after_lease: AfterLease) -> None:
        """Refuse a rule for doors whose lease has ended if they get no leases.

        Raises:
            RefusedError: the zone has no leases.
        """
        if after_lease is not AfterLease.CLOSED and self.lease_seconds == 0:
            raise RefusedError(
                f"zone {self.purpose!r} has no leases, so nothing comes after them: a door without a connection stays "
                "closed; give the term of leases first, with --lease-seconds"
            )

    def check_no_challenge(self) -> None:
        """Refuse to decide about a picture or a stream, in which no one was asked to turn the head.

        Raises:
            RefusedError: the zone asks for the head-turn challenge.
        """
        if self.liveness is LivenessLevel.CHALLENGE:
            raise RefusedError(
                f"zone {self.purpose!r} asks each person to turn the head, and a picture or a stream alone shows no "
                "answer to that; use the kiosk of the zone or 'volens verify --camera', or end it with 'volens zone "
                f"change {self.purpose} --liveness none'"
            )

    def check_searchable(self) -> None:
        """Refuse an identification (1:N) if the person holds the key: no reference opens until the person shows it.

        Raises:
            RefusedError: the zone's custody is not 'operator'.
        """
        if self.custody is not Custody.OPERATOR:
            raise RefusedError(
                f"zone {self.purpose!r} has custody {self.custody.value!r}, which allows no identification (1:N); ask "
                f"for the person's {'badge' if self.custody is Custody.BADGE else 'receipt and secret'} and use "
                "'volens verify'"
            )


def parse_title(text: str) -> str:
    """Return a title of a zone in its stored form (`parse_text`), or empty text, which is no title.

    Raises:
        InputError: it has more than 80 characters, or one that no text may have.
    """
    words = " ".join(text.split())
    return parse_text(words, "a title", MAX_TITLE_CHARACTERS) if words else ""


def parse_fpir(text: str) -> FpirTarget:
    """Return the rate of strangers accepted that a zone aims at, as ``0.1%`` or ``0.01 %``.

    Raises:
        InputError: thresholds are measured for other rates only.
    """
    return _one_of(FpirTarget, "rate of strangers accepted (FPIR)", "".join(text.split()))


def parse_trigger(text: str) -> Trigger:
    """Return the trigger of a zone: ``near``, ``request`` or ``passing``.

    Raises:
        InputError: there is no such trigger.
    """
    return _one_of(Trigger, "trigger", text)


def _check_trigger(trigger: Trigger, purpose: Purpose, custody: Custody) -> None:
    if custody is not Custody.OPERATOR and trigger is not Trigger.REQUEST:
        raise RefusedError(
            f"zone {purpose!r} has custody {custody.value!r}, in which no face is compared before the person shows "
            "something; leave --trigger out, or give --trigger request"
        )


def _check_lease(seconds: int, purpose: Purpose, custody: Custody, factor: SecondFactor) -> None:
    if seconds != 0 and not MIN_LEASE_SECONDS <= seconds <= MAX_LEASE_SECONDS:
        raise InputError(
            f"got a lease of {seconds} seconds; expected 0 (doors decide online only), or {MIN_LEASE_SECONDS} to "
            f"{MAX_LEASE_SECONDS}"
        )
    if seconds and custody is not Custody.OPERATOR:
        raise RefusedError(
            f"zone {purpose!r} has custody {custody.value!r}, in which a door holds nothing that it could open without "
            "the person; leave --lease-seconds out, because its doors decide online only"
        )
    if seconds and factor is not SecondFactor.NONE:
        raise RefusedError(
            f"zone {purpose!r} has the second factor {factor.value!r}, and a door without a connection cannot count "
            "wrong tries together with the other doors; leave --lease-seconds out, or use a zone without one"
        )


def parse_after_lease(text: str) -> AfterLease:
    """Return what a door does after its lease.

    Raises:
        InputError: it is neither ``closed`` nor ``badge``.
    """
    return _one_of(AfterLease, "rule for doors after their lease", text)


def parse_liveness(text: str) -> LivenessLevel:
    """Return the level of liveness of a zone: ``none``, ``challenge`` or ``pack``.

    Raises:
        InputError: it is another text.
    """
    return _one_of(LivenessLevel, "level of liveness", text)


def _one_of(known: type[_Kind], what: str, given: str) -> _Kind:
    try:
        return known(comparison_key(given))
    except ValueError:
        raise InputError(f"got {what} {given[:40]!r}; expected one of {', '.join(known)}") from None


def _promise(text: str | None) -> str:
    return parse_text(text, "a text", _MAX_TEXT, lines=True) if text and text.strip() else ""
