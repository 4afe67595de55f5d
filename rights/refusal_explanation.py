"""Answers the operator's question "why was she refused?": what the doors of a zone compare and require.

The service records no face that matches no person, and no score of a door. So the answer has what holds for every look
in the zone (the references, the threshold, how often it misses its own people, what is required besides the face) and,
for one consent, what would keep a door closed now. It has no visit, no name and nothing about a face: visits are told
to the person alone (`volens.rights.decision_explanation`).
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Final, final

from volens.consent import Custody, Purpose, ReceiptId, UnknownError, Zone
from volens.face.embedder import EmbeddingModel
from volens.identify.calibration import SAMPLED, calibrate
from volens.identify.error_rates import Rate
from volens.rights.decision_explanation import Closed, ClosedReason, closed_reasons
from volens.store import Store
from volens.store.people import consent_ended, count_references, stored_receipt
from volens.store.people.people_list import listed_consents
from volens.store.promises import threshold_shift, zone_of

ABOUT_THE_PERSON: Final = {
    Closed.ENDED: "the consent has ended: no door recognises the person, and the face data is erased",
    Closed.ZONE_PAUSED: "the zone is paused: no one is recognised there at present; volens zone resume",
    Closed.DAMAGED: "the record of the consent was changed by another program; see 'volens doctor', line rows",
    Closed.CLOCK: "the consent ended by itself ({}); the data is erased by the next sweep; ask for a new consent",
    Closed.RESTRICTED: "the person has paused the consent: nothing is matched until they resume it",
    Closed.NOT_ENROLLED: "the person is not enrolled: there are no photos to compare with; volens enroll",
    Closed.SHOW_KEY: "a door decides only if the person also shows their secret or badge",
    Closed.FACTOR_MISSING: "the zone requires a second factor ({}), and none is set for the person",
    Closed.FACTOR_LOCKED: "after too many wrong PINs the door is locked for the person until {}",
}
"""What keeps a door closed for one person, for the operator."""


CAN_COME_FROM: Final = (
    "the zone is paused, or the person has no consent in force there, has paused it, or has no photos yet",
    "no face was found: too far, too small, too dark, turned away, or covered",
    "a face was found and not compared, and the door's answer says why: cut_off (partly outside the picture) or turned",
    "the best score was too low: light from behind, a mask, a blurred picture, old photos; new photos help",
    "the second factor was missing, wrong, or locked after five wrong PINs",
)
"""What a refusal can come from, in the order in which a door decides."""

UNKNOWN_TO_THE_OPERATOR: Final = (
    "which of these it was: a face that matches no person leaves no record, and no comparison score of a door is kept",
    "whether this person was at a door: visits are told to the person alone, who shows the receipt or the code",
)


@final
@dataclass(frozen=True, slots=True)
class RefusalExplanation:
    """What a refusal in a zone can come from.

    Attributes:
        references: with how many references a look is compared; where the person holds the key, with theirs alone.
        threshold: the lowest score that opens.
        shift: how far the threshold lies above the model's, by a calibration.
        missed: how often own people are missed in one look, as measured; None if too few people were measured.
        closed_because: what keeps the door closed for the person of the consent that was named; None if none was.
    """

    zone: Zone
    references: int
    threshold: float
    shift: float
    missed: Rate | None
    closed_because: tuple[ClosedReason, ...] | None

    @property
    def is_searched(self) -> bool:
        """Whether a look is compared with everyone in the zone (1:N), and not with one person (1:1)."""
        return self.zone.custody is Custody.OPERATOR


def explain_refusals(
    store: Store, purpose: Purpose, model: EmbeddingModel, consent: ReceiptId | None = None
) -> RefusalExplanation:
    """Explain what a refusal in a zone can come from; with a consent, also what keeps the door closed for its person.

    Raises:
        UnknownError: there is no such zone, or no such consent was ever given in it.
        TamperError: the rows of the zone or of the consent do not verify.
    """
    now = store.now()
    with store.read() as connection:
        zone = zone_of(connection, purpose)
        references = count_references(connection, purpose).get(model.model_id, 0)
        shift = threshold_shift(connection, purpose, model.model_id)
        found = None
        if consent is not None:
            stored = stored_receipt(connection, consent)
            if stored is None or stored.purpose != purpose:
                raise UnknownError(
                    f"zone {purpose!r} has no consent of this id; find the person with 'volens people find', and pass "
                    "the id of the consent for this zone"
                )
            found = (consent, listed_consents(connection, [consent], now), consent_ended(connection, consent))
    closed = None if found is None else tuple(closed_reasons(store, zone, *found, now))
    missed = None
    if zone.custody is Custody.OPERATOR:
        threshold = min(1.0, model.thresholds.identification(references, zone.fpir) + shift)
        with suppress(UnknownError):  # no one's scores are counted yet
            measured = calibrate(store, purpose, model, at_most=SAMPLED)
            missed = measured.now.fnir if measured.enough else None
    else:
        references, threshold, shift = 1, model.thresholds.claim_value, 0.0
    return RefusalExplanation(zone, references, threshold, shift, missed, closed)
