"""A door that decides with its lease, and is cut off from its node again and again, for longer than the lease lasts.

It is stricter than `volens door run`, which asks the service as long as that answers: this one decides with what it
holds also while it is connected. So a withdrawal meets a door that gives its lease up, or one that says nothing until
its lease has ended.
"""

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from benchmarks.history.severable_proxy import SeverableProxy
from benchmarks.load.checker import Span
from benchmarks.load.run import ZONE
from volens.audit import VerifierKey
from volens.consent import Purpose, UnavailableError
from volens.consent.lease import LeaseDoor
from volens.face import Extractor, decode
from volens.identify.leased_recognition import LeasedRecognizer
from volens.index.held_lease import HeldLease
from volens.service.door.addresses import ServiceAddress
from volens.service.door.lease_client import LeaseClient
from volens.service.door.lease_holder import LeaseHolder
from volens.service.door.lease_journal import LeaseJournal
from volens.store.programs.credentials import CredentialToken

_CONNECTED_S: Final = (1.0, 3.0)
_LONGER_THAN_LEASE_S: Final = 2.0


@final
@dataclass(frozen=True, slots=True)
class LeasedLook:
    """A look with a lease.

    Attributes:
        shown: number of the actor whose face it was.
        handle: what the lease calls the person who matched; None if no one did.
    """

    span: Span
    shown: int
    lease_id: str
    handle: bytes | None


@final
class LeasedDoor:
    """One such door.

    Attributes:
        door_id: the id of its credential.
        looks: what it decided.
    """

    def __init__(
        self,
        node_port: int,
        key: VerifierKey,
        token: str,
        photos: Sequence[Sequence[bytes]],
        folder: Path,
        *,
        lease_seconds: int,
        frames_per_s: float,
        seed: int,
    ) -> None:
        """Connect to the node at a port; `photos` are as in `record_run`, and `folder` is for what is not delivered."""
        self.door_id = CredentialToken.parse(token).credential_id
        self.looks: list[LeasedLook] = []
        self._extractor = Extractor.load_default()
        self._views = [decode(one[3]) for one in photos]
        self._faces = [self._extractor.detect(view) for view in self._views]
        self._proxy = SeverableProxy(node_port)
        self._lease_seconds, self._pause_s = lease_seconds, 1 / frames_per_s
        self._chance = random.Random(seed)  # noqa: S311  the order of faces, and when it is cut off
        door = LeaseDoor(key.public_keys, key.name.partition("/")[2], Purpose(ZONE), self.door_id)
        address = ServiceAddress(f"http://127.0.0.1:{self._proxy.port}", token, None)
        model, journal = self._extractor.model, LeaseJournal(folder / "leased-door.jsonl")
        self._holder = LeaseHolder(LeaseClient(address), door, model.model_id, model.dimension, journal)

    def run(self, ended: threading.Event) -> None:
        """Look until the end; then the connection works, and the lease is given up."""
        is_cut, switch_at = False, time.monotonic() + self._chance.uniform(*_CONNECTED_S)
        with self._proxy:
            self._holder.start()
            try:
                while not ended.wait(self._pause_s):
                    held = self._holder.held
                    if time.monotonic() >= switch_at and (is_cut or (held is not None and self._has_just_matched())):
                        is_cut = not is_cut
                        switch_at = time.monotonic() + self._switch(is_cut=is_cut)
                    if held is not None:
                        self._look(held)
            finally:
                self._proxy.join()
                self._holder.close()

    def _has_just_matched(self) -> bool:
        """Return whether the last look was a match: now a cut is of most interest, because that person leaves soon."""
        return bool(self.looks) and self.looks[-1].handle is not None

    def _switch(self, *, is_cut: bool) -> float:
        """Cut the connection, or join it, and return for how many seconds."""
        if is_cut:
            self._proxy.cut()
            return self._chance.uniform(self._lease_seconds / 2, self._lease_seconds + _LONGER_THAN_LEASE_S)
        self._proxy.join()
        return self._chance.uniform(*_CONNECTED_S)

    def _look(self, held: HeldLease) -> None:
        """Look at a face; what is seen after the end of the lease is no decision, and not recorded."""
        actor, began = self._chance.randrange(len(self._views)), time.monotonic_ns()
        recognizer = LeasedRecognizer(held, lambda: self._extractor)
        try:
            zone = recognizer.searchable_zone(held.claims.purpose)
        except UnavailableError:
            return
        (found, *_) = recognizer.identify_faces(zone, self._views[actor], self._faces[actor])
        handle = None if found.match is None else held.handle(int(found.match.reference_id))
        span = Span(began, time.monotonic_ns())
        self.looks.append(LeasedLook(span, actor, held.claims.lease_id, handle))
