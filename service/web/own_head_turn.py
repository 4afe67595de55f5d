"""The head-turn challenge before the photos that a person takes alone, in a zone that asks for it.

1. The page asks frame by frame, as at a kiosk (`volens.service.web.head_turn_asking`), for one receipt.
2. It sends the frames that were taken together with the photos, within `PHOTOS_FOR`. They must be the very frames that
   were seen in time: their digest is in the sealed text, because here the browser is the person's own.
3. A challenge is used once, whether its photos are accepted or not. The database notes it, for all workers.
4. The enrollment examines it (`volens.enroll.TurnedHead`).
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import Annotated, Final, TypeAlias, final

from fastapi import Depends, File, Form, UploadFile

from volens import Site
from volens.consent import ReceiptId, RefusedError, UnverifiedReceipt
from volens.consent.reason import Reason
from volens.consent.zone import LivenessLevel
from volens.enroll import TurnedHead
from volens.face import EncodedImage
from volens.face.head_turn import LOOKS
from volens.face.image_formats import NETWORK_FORMATS
from volens.service.http.bodies import read_upload
from volens.service.web.head_turn_asking import (
    EARLIER_FRAME,
    MAX_CHALLENGE,
    HeadTurnChallenge,
    HeadTurnPrompt,
    digest_of,
    next_turn,
)
from volens.store.people import admit_receipt
from volens.store.programs import IdempotencyKey, RequestInProgressError, ResponseUnavailableError
from volens.store.promises import zone_of

PHOTOS_FOR: Final = timedelta(minutes=5)
"""How long the person has for the photos after the head turn."""
LIVENESS_REASONS: Final = frozenset({Reason.HEAD_NOT_TURNED, Reason.HEAD_OF_ANOTHER, Reason.PHOTO_NOT_LIVE})


@final
@dataclass(frozen=True, slots=True)
class SentTurn:
    """What a page sends beside the photos; empty where no head turn is asked for."""

    challenge: str | None
    frames: Sequence[bytes] = field(repr=False)


async def _sent_turn(
    challenge: Annotated[str | None, Form(max_length=MAX_CHALLENGE)] = None,
    turned: Annotated[list[UploadFile] | None, File(max_length=LOOKS)] = None,
) -> SentTurn:
    return SentTurn(challenge, [await read_upload(one) or b"" for one in turned or ()])


WithTurn: TypeAlias = Annotated[SentTurn, Depends(_sent_turn)]


def ask_turn(site: Site, receipt: UnverifiedReceipt, frame: EncodedImage, challenge: str | None) -> HeadTurnPrompt:
    """Admit a receipt, look at one frame of its person, and say what to ask for next. No embedding is computed.

    Raises:
        RefusedError: no consent is in force, or the zone does not ask to turn the head.
        ReceiptError, TamperError: the receipt is not the one recorded.
        ImageError: the frame is not readable.
        UnavailableError: the zone is paused.
    """
    store = site.installation.store
    with store.read() as connection:
        grant = admit_receipt(store, connection, receipt)
        zone = zone_of(connection, grant.purpose)
    caller = _caller(grant.receipt_id)
    return next_turn(site, zone, frame, challenge, caller=caller, to_send=PHOTOS_FOR).to_body()


def turned_head(site: Site, receipt: UnverifiedReceipt, sent: SentTurn) -> TurnedHead | None:
    """Return the head turn that was sent with the photos, which is used up by that; None where none is asked for.

    Raises:
        RefusedError: the zone asks for one, and there is none, its time is over, or it was used before.
    """
    claims = receipt.claims
    with site.installation.store.read() as connection:
        zone = zone_of(connection, claims.purpose)
    if zone.liveness is not LivenessLevel.CHALLENGE:
        return None
    # 1. and 2.
    asked = HeadTurnChallenge.open(site, zone, _caller(claims.receipt_id), sent.challenge) if sent.challenge else None
    is_seen = asked is not None and hmac.compare_digest(asked.digest, digest_of(sent.frames))
    # 3.
    if asked is None or not asked.is_finished or not is_seen or not _use(site, asked):
        raise RefusedError(
            f"zone {zone.purpose!r} asks each person to turn the head before the photos, and no head turn of the last "
            "minutes came with these; begin again on this page, with the camera, or let the desk take the photos",
            reason=Reason.HEAD_NOT_TURNED,
        )
    # 4.
    frames = [EncodedImage(one, "a frame of the head turn", NETWORK_FORMATS, EARLIER_FRAME) for one in sent.frames]
    return TurnedHead(asked.first, frames)


def _caller(receipt_id: ReceiptId) -> str:
    return f"receipt {receipt_id}"


def _use(site: Site, asked: HeadTurnChallenge) -> bool:
    """Note that a challenge was used; return False if it was before."""
    used, key = site.programs.idempotency_store, IdempotencyKey(asked.challenge_id, ("head turn", asked.caller))
    try:
        used.begin(key, sha256(asked.challenge_id.encode("ascii")).digest())
    except (RequestInProgressError, ResponseUnavailableError):
        return False
    used.complete_alone(key, b"")
    return True
