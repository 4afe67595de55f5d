"""`Site.zones`: title, notices, error rate, calibration, trigger, liveness and leases of a zone, pausing, removal."""

from contextlib import suppress
from datetime import datetime
from typing import final

from volens.consent import Custody, Notice, UnknownError, Zone, parse_purpose
from volens.consent.law.gates import ClosedGate
from volens.consent.lease import LeaseStop
from volens.consent.zone import ZoneState, parse_after_lease, parse_fpir, parse_liveness, parse_trigger
from volens.enroll.opening import closed_gates_of_zone
from volens.erase import Progress
from volens.erase.followers import await_stop
from volens.erase.proof import Erased
from volens.erase.zone_removal import remove_zone
from volens.face.embedder import SFACE_MODEL, EmbeddingModel
from volens.identify.calibration import SAMPLED, Calibration, apply_calibration, calibrate
from volens.index import Installation
from volens.store.programs.leases import Leases
from volens.store.promises import (
    inspect_zones,
    notices_of,
    rename_zone,
    set_threshold_shift,
    set_zone_fpir,
    set_zone_lease,
    set_zone_liveness,
    set_zone_state,
    set_zone_trigger,
    zone_of,
)
from volens.store.promises.zone_changes import paused_since, set_zone_after_lease


@final
class SiteZones:
    """The zones of one open site."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._store = installation.store

    def get(self, name: str) -> Zone:
        """Return a zone, in use, paused or removed.

        Raises:
            InputError: there is no such zone.
        """
        with self._store.read() as connection:
            return zone_of(connection, parse_purpose(name))

    def all(self, *, removed: bool = False) -> list[Zone]:
        """Return all zones, by name; removed ones only on request."""
        with self._store.read() as connection:
            found = [zone for zone, _problem in inspect_zones(connection)]
        return [zone for zone in found if removed or zone.state is not ZoneState.REMOVED]

    def notices(self, name: str) -> list[Notice]:
        """Return the newest notice of a zone in each language; possibly none.

        Raises:
            InputError: there is no such zone.
        """
        with self._store.read() as connection:
            return notices_of(connection, parse_purpose(name))

    def closed_gates(self, name: str, *, people: bool = False) -> tuple[ClosedGate, ...]:
        """Return what keeps a zone closed to people of some jurisdictions; see `closed_gates_of_zone`.

        Raises:
            InputError: there is no such zone.
        """
        return closed_gates_of_zone(self._store, self.get(name).purpose, people=people)

    def rename(self, name: str, title: str) -> Zone:
        """Give a zone another title; see `volens.store.promises.rename_zone`."""
        with self._store.write() as tx:
            return rename_zone(tx, parse_purpose(name), title)

    def set_fpir(self, name: str, fpir: str) -> Zone:
        """Change the rate of strangers accepted, ``0.1%`` or ``0.01%``; see `volens.store.promises.set_zone_fpir`.

        Raises:
            InputError: there is no such zone, or no threshold is measured for this rate.
            RefusedError: the zone was removed.
        """
        target = parse_fpir(fpir)
        with self._store.write() as tx:
            return set_zone_fpir(tx, parse_purpose(name), target)

    def calibrate(
        self, name: str, model: EmbeddingModel = SFACE_MODEL, *, wanted: float | None = None, at_most: int | None = None
    ) -> Calibration:
        """Measure how often the doors of a zone err among its people; see `volens.identify.calibration.calibrate`."""
        return calibrate(self._store, parse_purpose(name), model, wanted=wanted, at_most=at_most)

    def apply_calibration(self, measured: Calibration, *, lower: bool = False) -> float:
        """Use a measured threshold from now on; see `volens.identify.calibration.apply_calibration`."""
        return apply_calibration(self._store, measured, lower=lower)

    def end_calibration(self, name: str, model: EmbeddingModel = SFACE_MODEL, *, lower: bool = False) -> None:
        """Use the thresholds of the model again.

        Raises:
            InputError: there is no such zone.
            RefusedError: they are lower than those in use and `lower` is not given, or the zone was removed.
        """
        with self._store.write() as tx:
            set_threshold_shift(tx, parse_purpose(name), model.model_id, 0.0, lower=lower)

    def measured(self, model: EmbeddingModel = SFACE_MODEL) -> list[Calibration]:
        """Return what is measured of each searched zone that has counts of a model.

        The counts of some people are opened, always the same; see `volens.identify.calibration.SAMPLED`.
        """
        found: list[Calibration] = []
        for zone in self.all():
            if zone.custody is Custody.OPERATOR:
                with suppress(UnknownError):
                    found.append(self.calibrate(zone.purpose, model, at_most=SAMPLED))
        return found

    def set_trigger(self, name: str, trigger: str) -> Zone:
        """Change what lets the doors embed a face: ``near``, ``request`` or ``passing``; see `set_zone_trigger`.

        Raises:
            InputError: there is no such zone, or no such trigger.
            RefusedError: the zone was removed, its custody needs a request, or a notice does not say ``passing``.
        """
        wanted = parse_trigger(trigger)
        with self._store.write() as tx:
            return set_zone_trigger(tx, parse_purpose(name), wanted)

    def set_liveness(self, name: str, liveness: str) -> Zone:
        """Change the level of liveness, ``none``, ``challenge`` or ``pack``; see `set_zone_liveness`.

        Raises:
            InputError: there is no such zone, or no such level.
            RefusedError: the zone was removed.
        """
        level = parse_liveness(liveness)
        with self._store.write() as tx:
            return set_zone_liveness(tx, parse_purpose(name), level)

    def set_lease(self, name: str, lease_seconds: int) -> Zone:
        """Change how long a door may decide without a connection; see `volens.store.promises.set_zone_lease`.

        Raises:
            InputError: there is no such zone, or the term is neither 0 nor 5 to 900 seconds.
            RefusedError: the zone was removed, or people carry something there.
        """
        with self._store.write() as tx:
            return set_zone_lease(tx, parse_purpose(name), lease_seconds)

    def set_after_lease(self, name: str, after_lease: str) -> Zone:
        """Change what a door does that has no connection and no lease any more, ``closed`` or ``badge``.

        Raises:
            InputError: there is no such zone, or no such rule.
            RefusedError: the zone was removed, or has no leases.
        """
        rule = parse_after_lease(after_lease)
        with self._store.write() as tx:
            return set_zone_after_lease(tx, parse_purpose(name), rule)

    def pause(self, name: str) -> Zone:
        """Pause a zone: nothing is matched or enrolled there, and its doors act as if the service were down.

        Raises:
            InputError: there is no such zone.
            RefusedError: it was removed.
        """
        with self._store.write() as tx:
            return set_zone_state(tx, parse_purpose(name), ZoneState.PAUSED)

    def paused(self, name: str, *, wait: bool = False) -> LeaseStop | None:
        """Return since when a zone is paused, and what its doors with leases may still do; None if it is not paused.

        With `wait`, doors with a connection get up to two seconds to say that they have dropped their leases.

        Raises:
            InputError: there is no such zone.
        """
        purpose = parse_purpose(name)
        with self._store.read() as connection:
            since = paused_since(connection, purpose)
        return None if since is None else self.stop_at(purpose, since, wait=wait)

    def stop_at(self, name: str, stopped_at: datetime, *, wait: bool = False) -> LeaseStop:
        """Return from when on no door decides any more, after a stop that revoked the leases of a zone; as `paused`."""
        purpose = parse_purpose(name)
        if wait:
            return await_stop(self._store, purpose, stopped_at)
        return Leases(self._store).stop_at(purpose, stopped_at)

    def resume(self, name: str) -> Zone:
        """End the pause of a zone.

        Raises:
            InputError, RefusedError: as `pause`.
        """
        with self._store.write() as tx:
            return set_zone_state(tx, parse_purpose(name), ZoneState.IN_USE)

    def remove(
        self, name: str, *, erase_everyone: bool = False, progress: Progress | None = None
    ) -> tuple[Zone, list[Erased]]:
        """Remove a zone for ever; see `volens.erase.zone_removal.remove_zone`."""
        return remove_zone(self._installation, parse_purpose(name), erase_everyone=erase_everyone, progress=progress)
