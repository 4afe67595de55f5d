"""A zone: one purpose, one set of doors, and the promises made for it before anyone is asked."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NotRequired, Self, TypedDict, TypeVar, final

from volens.consent.errors import InputError, RefusedError
from volens.consent.ids import Purpose, parse_purpose
from volens.consent.times import whole_seconds

DEFAULT_MATCH_HISTORY_DAYS: Final = 90
MAX_MATCH_HISTORY_DAYS: Final = 366
MAX_RETENTION_DAYS: Final = 3 * 366
"""A consent is asked again at least every three years; CNIL's guidance for workplace biometrics expects a limit."""
_MAX_TEXT: Final = 2000
_Kind = TypeVar("_Kind", bound=StrEnum)


class Custody(StrEnum):
    """Who holds what opens a reference (CNIL model regulation 2019-001, types 1, 2 and 3)."""

    BADGE = "badge"
    SUBJECT_KEY = "subject_key"
    OPERATOR = "operator"


class SecondFactor(StrEnum):
    """What a person shows besides their face: nothing, the number of a badge, or a PIN."""

    NONE = "none"
    BADGE = "badge"
    PIN = "pin"


class Promises(TypedDict):
    """What is declared of a zone when it is added; see `Zone.declare`."""

    custody: str
    justification: str | None
    alternative: str | None
    retention_days: int | None
    match_history_days: NotRequired[int]
    second_factor: NotRequired[str]


@final
@dataclass(frozen=True, slots=True)
class Zone:
    """A purpose with its custody, its justification, its alternative and its retention.

    Attributes:
        match_history_days: how long a person's own passages are kept for them to ask for; 0 keeps none.
        second_factor: what nobody gets in without, whoever the face is.
    """

    purpose: Purpose
    custody: Custody
    justification: str
    alternative: str
    retention_days: int
    created_at: datetime
    match_history_days: int = DEFAULT_MATCH_HISTORY_DAYS
    second_factor: SecondFactor = SecondFactor.NONE

    @classmethod
    def declare(
        cls,
        name: str,
        *,
        custody: str,
        justification: str | None,
        alternative: str | None,
        retention_days: int | None,
        now: datetime,
        match_history_days: int = DEFAULT_MATCH_HISTORY_DAYS,
        second_factor: str = SecondFactor.NONE,
    ) -> Self:
        """Return a zone that may be offered to people, or say which promise is missing.

        Raises:
            InputError: the name, the custody or the second factor is not one.
            RefusedError: a promise is missing: an alternative for people who say no (GDPR 7(4)), a justification
                for keeping references under the operator's control alone, or a retention of 1 to 1098 days
                (GDPR 5(1)(e)). Or a second factor where the person carries the key, which is one.
        """
        purpose = parse_purpose(name)
        kind = _one_of(Custody, "custody", custody)
        factor = _one_of(SecondFactor, "second factor", second_factor)
        why = _promise(justification)
        if not why and kind is Custody.OPERATOR:
            raise RefusedError(
                f"zone {purpose!r} keeps references under the operator's control but says not why; give "
                "--justification with the reason why a badge is not enough (CNIL model regulation 2019-001, art. 9)"
            )
        instead = _promise(alternative)
        if not instead:
            raise RefusedError(
                f"zone {purpose!r} has no alternative; give --alternative with the way in for people who say no, "
                "for consent without a choice is not free (GDPR 7(4))"
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
                f"zone {purpose!r} has custody {kind.value!r}, in which people show what they carry besides their face "
                "already; leave --second-factor out, or choose custody 'operator'"
            )
        return cls(purpose, kind, why, instead, retention_days, whole_seconds(now), match_history_days, factor)

    def check_searchable(self) -> None:
        """Refuse a search (1:N): where the person holds the key, nobody can be found who does not show it.

        Raises:
            RefusedError: the zone's custody is not the operator's.
        """
        if self.custody is not Custody.OPERATOR:
            raise RefusedError(
                f"zone {self.purpose!r} has custody {self.custody.value!r}, in which nobody is searched for; ask for "
                f"the person's {'badge' if self.custody is Custody.BADGE else 'receipt and secret'} and use 'volens "
                "verify'"
            )


def _one_of(known: type[_Kind], what: str, given: str) -> _Kind:
    try:
        return known(given)
    except ValueError:
        raise InputError(f"got {what} {given[:40]!r}; expected one of {', '.join(known)}") from None


def _promise(text: str | None) -> str:
    stripped = (text or "").strip()
    if len(stripped) > _MAX_TEXT:
        raise InputError(f"got a text of {len(stripped)} characters; expected at most {_MAX_TEXT}")
    try:
        stripped.encode("utf-8")
    except UnicodeEncodeError:
        raise InputError("got a text that is not UTF-8; check the terminal's encoding") from None
    return stripped
