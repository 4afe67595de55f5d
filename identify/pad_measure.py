"""Measures a liveness level on recorded presentations, one after the other, as a door would decide about them."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final, TypeAlias, final

from volens.consent import InputError, UnitVector, Zone
from volens.consent.gate import permit_probe
from volens.consent.zone import LivenessLevel
from volens.face import Extractor, RgbImage
from volens.face.alignment import nose_offset
from volens.face.head_turn import HeadTurn, HeadTurnLiveness, Side
from volens.face.liveness import Look
from volens.identify.liveness_gate import check_liveness
from volens.identify.pad_rates import Outcome
from volens.identify.person_in_front import Obstacle, person_in_front

TimedFrame: TypeAlias = tuple[float, RgbImage]

_EITHER: Final = tuple(Side)


@final
class PadMeasurement:
    """Decides about presentations at one level, with the models and under the permit of a zone. Nothing is kept."""

    def __init__(self, extractor: Extractor, zone: Zone, level: LivenessLevel) -> None:
        """Measure a level, whatever that of the zone is.

        Raises:
            InputError: the level is none.
            ModelMissingError: the level is pack, and there is no liveness model.
        """
        if level is LivenessLevel.NONE:
            raise InputError("got liveness none, which refuses nothing; pass --level challenge or --level pack")
        if level is LivenessLevel.PACK:
            check_liveness(replace(zone, liveness=level), lambda: extractor)
        self._extractor, self._level = extractor, level
        self._permit = permit_probe(zone)

    def outcome(self, frames: Iterable[TimedFrame]) -> Outcome:
        """Decide about one presentation: frames with their times in seconds, in order.

        challenge: it passes if it is a head turn in either order, as for an attacker whose video has the order that is
        asked. pack: it passes if the model takes one of the looks for live, because a door looks again.
        """
        looks = (look for look in map(self._look, frames) if look is not None)
        return self._of_model(looks) if self._level is LivenessLevel.PACK else self._of_challenge(looks)

    def _look(self, frame: TimedFrame) -> Look | None:
        at_s, image = frame
        face = person_in_front(self._extractor.detect(image), image.width, image.height)
        return None if isinstance(face, Obstacle) else Look(image, face, at_s)

    def _of_model(self, looks: Iterable[Look]) -> Outcome:
        model, seen = self._extractor.liveness, False
        for look in looks:
            seen = True
            if model is not None and model.examine([look]).passed:
                return Outcome.PASSED
        return Outcome.REFUSED if seen else Outcome.NO_RESPONSE

    def _of_challenge(self, looks: Iterable[Look]) -> Outcome:
        limit = self._extractor.model.thresholds.claim_value
        turns: dict[Side, tuple[HeadTurn, list[Look]]] = {}
        began_s = 0.0
        for look in looks:
            if not turns:
                began_s = look.at_s
                turns = {side: (HeadTurn(side, began_s, limit), []) for side in _EITHER}
            for turn, taken in turns.values():
                if turn.see(nose_offset(look.face.landmarks), look.at_s):
                    taken.append(look)
        for side, (_turn, taken) in turns.items():
            if HeadTurnLiveness(side, began_s, self._embed, limit).examine(taken).passed:
                return Outcome.PASSED
        return Outcome.REFUSED if turns else Outcome.NO_RESPONSE

    def _embed(self, look: Look) -> UnitVector:
        (probe,) = self._extractor.probes(look.image, [look.face], self._permit)
        return probe.vector
