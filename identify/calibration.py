"""Calibration of a zone: how often its doors err among its own people, measured from score counts; see docs/adr/0071.

The people of a zone stand in for its strangers: each is a stranger to the references of all others. A staff resembles
itself more, or less, than the people with whom the model's thresholds were measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from volens.consent import Custody, ModelId, Purpose, RefusedError, UnknownError, Zone
from volens.consent.zone import FpirTarget
from volens.face.embedder import EmbeddingModel
from volens.identify.error_rates import ErrorRates, Rate
from volens.store import Store
from volens.store.people import count_references
from volens.store.people.score_counts import ScoreCounts, SealedScoreCounts, score_counts_in
from volens.store.promises import set_threshold_shift, threshold_shift, zone_of

LEAST_PEOPLE: Final = 50
"""With fewer people a zone keeps the thresholds of the model: nothing below 1 in 50 shows."""

SAMPLED: Final = 2_000
"""How many people's counts an alarm opens at most: a fifth of a second."""

_BATCH: Final = 500


@final
@dataclass(frozen=True, slots=True)
class RatesAt:
    """The error rates of a zone with so many people, at a threshold."""

    gallery_size: int
    threshold: float
    fpir: Rate
    fnir: Rate


@final
@dataclass(frozen=True, slots=True)
class Calibration:
    """What was measured about the errors of a zone's doors, in one look each.

    Attributes:
        wanted: the rate of strangers accepted that a threshold was asked for; that of the zone, or another one.
        people: how many people's scores were counted; `LEAST_PEOPLE` or more are needed.
        references: how many references of the model the zone has now.
        model_threshold: what the model states for so many references and the zone's target.
        shift: how far the zone's threshold lies above that.
        now: with the references and the threshold of now.
        doubled: with twice as many, at the threshold that the zone would have then.
        measured: at the lowest threshold that keeps the wanted rate; None if none does.
        rates: error rates at any threshold.
    """

    zone: Zone
    model_id: ModelId
    wanted: float
    people: int
    references: int
    model_threshold: float
    shift: float
    now: RatesAt
    doubled: RatesAt
    measured: RatesAt | None
    rates: ErrorRates

    @property
    def enough(self) -> bool:
        """Whether enough people were measured; otherwise the zone keeps the thresholds of the model."""
        return self.people >= LEAST_PEOPLE

    @property
    def target(self) -> float:
        """The rate of strangers accepted that the zone aims at."""
        return target_share(self.zone.fpir)

    @property
    def exceeds(self) -> bool:
        """Whether more strangers are accepted than the zone aims at: its target lies below the 95 % interval."""
        return self.enough and self.now.fpir.low > self.target


def target_share(target: FpirTarget) -> float:
    """Return the target of a zone as a share: 0.001 for 0.1 %."""
    return float(target.value.removesuffix("%")) / 100


def calibrate(
    store: Store, purpose: Purpose, model: EmbeddingModel, *, wanted: float | None = None, at_most: int | None = None
) -> Calibration:
    """Measure the error rates of a zone from the score counts of its people; opens them, and changes nothing.

    `wanted` is a share, by default the zone's target. With `at_most`, the counts of so many people are opened.

    Raises:
        UnknownError: there is no such zone, or it has no counts of this model.
        RefusedError: in this zone the person holds the key, so no one is searched for.
        TamperError: counts do not open, or the rows of the zone do not verify.
    """
    with store.read() as connection:
        zone = zone_of(connection, purpose)
        if zone.custody is not Custody.OPERATOR:
            raise RefusedError(
                f"zone {purpose!r} has custody {zone.custody.value!r}: each person is compared with their own "
                "reference only (1:1), so there is no rate of strangers to measure; calibrate a zone with custody "
                "'operator'"
            )
        sealed = score_counts_in(connection, purpose, model.model_id, at_most)
        references = count_references(connection, purpose).get(model.model_id, 0)
        shift = threshold_shift(connection, purpose, model.model_id)
    counts = _opened(store, sealed)
    rates = ErrorRates(*(np.array([getattr(one, kind) for one in counts]) for kind in ("own", "others")))
    if not (rates.compared and rates.self_compared):
        raise UnknownError(
            f"zone {purpose!r} has no counted scores of at least two people ({references} enrolled with this model); "
            "scores are counted when people are enrolled and when they get new photos (volens enroll --replace-photos)"
        )

    def at(size: int, threshold: float) -> RatesAt:
        return RatesAt(size, threshold, rates.fpir(threshold, size), rates.fnir(threshold))

    def in_use(size: int) -> RatesAt:
        return at(size, min(1.0, model.thresholds.identification(size, zone.fpir) + shift))

    share = target_share(zone.fpir) if wanted is None else wanted
    found = rates.threshold(share, references)
    return Calibration(
        zone=zone,
        model_id=model.model_id,
        wanted=share,
        people=rates.compared,
        references=references,
        model_threshold=model.thresholds.identification(references, zone.fpir),
        shift=shift,
        now=in_use(references),
        doubled=in_use(2 * references),
        measured=None if found is None else at(references, found),
        rates=rates,
    )


def apply_calibration(store: Store, measured: Calibration, *, lower: bool = False) -> float:
    """Let the doors of a zone use the measured threshold from now on, by the shift that it means today.

    Return the shift. A lower threshold than the one in use needs `lower`. It is an entry of the log.

    Raises:
        RefusedError: fewer than `LEAST_PEOPLE` people were measured, no threshold reaches the zone's target, the
            threshold is lower and `lower` is not given, or the zone was removed.
        TamperError: the rows of the zone do not verify.
    """
    if not measured.enough:
        raise RefusedError(too_few(measured.people))
    if measured.measured is None or measured.wanted != measured.target:
        raise RefusedError(
            f"there is no measured threshold for the rate that zone {measured.zone.purpose!r} aims at "
            f"({measured.zone.fpir}); calibrate without another rate, or require a second factor"
        )
    shift = measured.measured.threshold - measured.model_threshold
    with store.write() as tx:
        return set_threshold_shift(tx, measured.zone.purpose, measured.model_id, shift, lower=lower)


def too_few(people: int) -> str:
    """Return the sentence for a zone in which too few people were measured."""
    return (
        f"people measured: {people}, too few to calibrate a zone; it keeps the thresholds of the model until "
        f"{LEAST_PEOPLE} are measured"
    )


def _opened(store: Store, sealed: Sequence[SealedScoreCounts]) -> list[ScoreCounts]:
    """Return the counts that open; a consent that ended or was stopped meanwhile is left out."""
    found: list[ScoreCounts] = []
    for start in range(0, len(sealed), _BATCH):
        batch = [
            one
            for one in sealed[start : start + _BATCH]
            if one.receipt.receipt_id not in store.stopped and one.receipt.receipt_id not in store.paused
        ]
        secrets = store.keyring.grant_secrets([one.receipt.receipt_id for one in batch])
        try:
            found += [one.open(secrets[one.receipt.receipt_id]) for one in batch if one.receipt.receipt_id in secrets]
        finally:
            for secret in secrets.values():
                secret.wipe()
    return found
