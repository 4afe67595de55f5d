"""What a kiosk answers to one frame of a visit: one word, without a name, an id or a score."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, final

from volens import FaceDecision, Site
from volens.consent import Custody, RefusedError, SecondFactor, ShownFactor, Zone
from volens.consent.zone import LivenessLevel
from volens.face import EncodedImage
from volens.identify import FaceVisit, HeadTurnAnswer, Obstacle, VisitState
from volens.identify.shown_codes import carried_in, codes_for
from volens.index import NotCompared, StageTimer
from volens.service.qr_reading import qr_texts_in

Needs: TypeAlias = Literal["face", "badge_number", "pin", "secret", "badge"]
"""What a person shows at the door of a zone besides their face, as scripts of the page name it."""

LOOKING: Final = "looking"
COME_IN: Final = "come_in"
NOT_KNOWN: Final = "not_known"
FACTOR_REQUIRED: Final = "factor_required"
SHOW_CODE: Final = "show_code"
TURN: Final = "turn"
NOT_LIVE: Final = "not_live"

_FACTORS: Final[dict[SecondFactor, Needs]] = {
    SecondFactor.NONE: "face",
    SecondFactor.BADGE: "badge_number",
    SecondFactor.PIN: "pin",
}
_CARRIED: Final[dict[Custody, Needs]] = {Custody.SUBJECT_KEY: "secret", Custody.BADGE: "badge"}
_OUTCOMES: Final = {
    "looking": LOOKING,
    "match": COME_IN,
    "no_match": NOT_KNOWN,
    "factor_required": FACTOR_REQUIRED,
}


@final
@dataclass(frozen=True, slots=True)
class Shown:
    """What the person showed besides their face: a badge number or PIN, and texts of QR codes. Never printed."""

    factor: str | None = field(default=None, repr=False)
    codes: Sequence[str] = field(default=(), repr=False)


@final
@dataclass(frozen=True, slots=True)
class KioskAnswer:
    """The answer to one frame.

    Attributes:
        word: `LOOKING`, `COME_IN`, `NOT_KNOWN`, `FACTOR_REQUIRED`, `SHOW_CODE`, `TURN` (ask to turn the head, and send
            what is seen), `NOT_LIVE`, or an `Obstacle`.
        outcome: of a visit that was decided, as other doors count it; None if none was.
        codes: texts of QR codes to show again with the next frames.
    """

    word: str
    outcome: str | None = None
    codes: Sequence[str] = field(default=(), repr=False)


def needs_of(zone: Zone) -> Needs:
    """Return what a person shows at the doors of a zone besides their face."""
    return _CARRIED.get(zone.custody) or _FACTORS[zone.second_factor]


def answer_to(
    site: Site,
    zone: Zone,
    frame: EncodedImage,
    shown: Shown,
    visit: FaceVisit,
    at_s: float,
    answer: HeadTurnAnswer | None = None,
    *,
    caller: str,
    timer: StageTimer,
) -> KioskAnswer:
    """Look at the person in front of a kiosk, as any other door does, and decide about the visit when it can be.

    The look is added to `visit`; `at_s` is its time. Where the person holds the key, the frame is read for its QR codes
    first; no face is detected until they are complete. A code of no one, and one whose consent has ended, have the
    answers of an unknown face. Where the zone asks to turn the head, nothing is compared without the `answer` to that,
    which is the whole visit.

    Raises:
        InputError: the second factor is not well-formed.
        ImageError: the frame is not a readable image.
        UnavailableError: the zone is paused, or the store cannot be read.
        TamperError: what is stored does not verify.
    """
    if zone.custody is Custody.OPERATOR:
        return _searched(site, zone, frame, shown.factor, visit, at_s, answer, caller, timer)
    return _claimed(site, zone, frame, shown.codes, visit, at_s, answer, caller)


def new_visit(zone: Zone) -> FaceVisit:
    """Return a visit of a zone's kiosk: where the person names themselves (1:1), their best look counts."""
    return FaceVisit() if zone.custody is Custody.OPERATOR else FaceVisit(agreeing=1)


def _searched(
    site: Site,
    zone: Zone,
    frame: EncodedImage,
    typed: str | None,
    visit: FaceVisit,
    at_s: float,
    answer: HeadTurnAnswer | None,
    caller: str,
    timer: StageTimer,
) -> KioskAnswer:
    zone.check_in_use()
    if is_to_turn(zone) and answer is None:
        return KioskAnswer(TURN)
    factor = None if typed is None else ShownFactor.of(zone.second_factor, typed)
    try:
        found = site.look_in_front(zone.purpose, frame, visit, at_s, factor, answer=answer, caller=caller, timer=timer)
    finally:
        if factor is not None:
            factor.wipe()
    if isinstance(found, Obstacle):
        return KioskAnswer(found.value)
    return _answer(NOT_LIVE if answer is not None and _is_not_live(found) else found.outcome)


def _claimed(
    site: Site,
    zone: Zone,
    frame: EncodedImage,
    codes: Sequence[str],
    visit: FaceVisit,
    at_s: float,
    answer: HeadTurnAnswer | None,
    caller: str,
) -> KioskAnswer:
    zone.check_in_use()
    carried = carried_in(zone.custody, codes)
    if carried is None:
        read = codes_for(zone.custody, qr_texts_in(frame.decode()))
        return KioskAnswer(SHOW_CODE, codes=list(dict.fromkeys([*codes, *read])))
    try:
        if is_to_turn(zone) and answer is None:
            return KioskAnswer(TURN, codes=codes)
        if not visit.is_due(at_s):
            return KioskAnswer(LOOKING)
        found = site.verify_claim(None, frame, carried=carried, zone=zone.purpose, answer=answer, caller=caller)
    except RefusedError:
        visit.look(None, at_s)
    else:
        if found is None:
            visit.settle(at_s)
            return KioskAnswer(Obstacle.NO_FACE.value)
        word = NOT_LIVE if answer is not None and _is_not_live(found) else found.outcome
        if visit.take(found.decision.reference_id, at_s, is_compared=found.reason is None) or word == NOT_LIVE:
            return _answer(word)
    finally:
        carried.wipe()
    visit.settle(at_s)
    is_over = answer is not None or (visit.state is VisitState.NOT_RECOGNISED and visit.looks > 0)
    return _answer("no_match" if is_over else "looking")


def is_to_turn(zone: Zone) -> bool:
    """Return whether a zone asks to turn the head."""
    return zone.liveness is LivenessLevel.CHALLENGE


def _answer(outcome: str) -> KioskAnswer:
    if outcome == NOT_LIVE:
        return KioskAnswer(NOT_LIVE, "no_match")
    return KioskAnswer(_OUTCOMES[outcome], None if outcome == "looking" else outcome)


def _is_not_live(found: FaceDecision) -> bool:
    return found.reason == NotCompared.NOT_LIVE
