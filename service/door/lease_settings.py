"""Settings of a door's leases, checked before anything is connected."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self, final

from volens.audit import VerifierKey, origin_of
from volens.consent import InputError, Purpose
from volens.consent.lease import LeaseDoor
from volens.face import Extractor
from volens.service.door.addresses import ServiceAddress
from volens.service.door.door_config import DoorConfig
from volens.service.door.lease_client import LeaseClient
from volens.service.door.lease_holder import LeaseHolder
from volens.service.door.lease_journal import LeaseJournal
from volens.service.door.leased_decider import LeasedDecider
from volens.service.door.remote_decider import RemoteDecider
from volens.store.files import read_text_file
from volens.store.programs.credentials import CredentialToken


@final
@dataclass(frozen=True, slots=True)
class LeaseSettings:
    """What a door needs to hold leases.

    Attributes:
        door: by whose keys its leases are signed, and what they must be for.
        journal: the file of what is not delivered yet.
    """

    service: ServiceAddress
    door: LeaseDoor
    journal: Path

    @classmethod
    def of(
        cls, config: DoorConfig, service: ServiceAddress, zone: Purpose, environment: Mapping[str, str] = os.environ
    ) -> Self:
        """Read the site's key, and the id of the door from its token.

        Raises:
            InputError: a file is not what it should be, or there is no place for the journal.
            UnavailableError: a file cannot be read.
        """
        if config.site_key is None:
            raise InputError("got --lease without --site-key; give the site.pub of the site")
        key = VerifierKey.parse(read_text_file(config.site_key, "the site's public key").decode("utf-8"))
        site_id = key.name.partition("/")[2]
        if key.name != origin_of(site_id):
            raise InputError(f"got a public key of {key.name!r}; expected the site.pub of a Volens site")
        journal = config.lease_journal
        if journal is None:
            state = environment.get("STATE_DIRECTORY", "").partition(":")[0]
            if not state:
                raise InputError("got --lease and no place for what is decided with it; give --lease-journal FILE")
            journal = Path(state) / f"leases-{config.door}.jsonl"
        door_id = CredentialToken.parse(service.token).credential_id
        return cls(service, LeaseDoor(key.public_keys, site_id, zone, door_id), journal)

    def decider(self, remote: RemoteDecider, load_extractor: Callable[[], Extractor], *, photos: bool) -> LeasedDecider:
        """Build the decider; this loads the models, so that an outage need not wait for them."""
        extractor, journal = load_extractor(), LeaseJournal(self.journal)
        model, liveness = extractor.model, extractor.liveness
        holder = LeaseHolder(
            *(LeaseClient(self.service), self.door, model.model_id, model.dimension, journal),
            liveness_model=None if liveness is None else liveness.detector_id,
        )
        return LeasedDecider(remote, holder, load_extractor, journal, photos=photos)
