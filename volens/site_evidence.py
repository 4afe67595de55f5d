"""Evidence of how long the log of a site was: what the home keeps, and what people, recipients and backups have."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from volens.audit import Checkpoint, Event
from volens.index import Installation
from volens.store.backup import root_at
from volens.store.keys import lost_secret
from volens.store.log import Evidence, checkpoints_of_file, entries_about_no_person, kept_checkpoint, unopenable
from volens.store.store import KEYRING_REPAIRED


@final
@dataclass(frozen=True, slots=True)
class CheckedEvidence:
    """The newest checkpoint that a file carries. The log contains it, or a restore gave its last entries up."""

    head: Checkpoint
    given_up: bool


@final
class SiteEvidence:
    """Holds the data file and the keyring of a site against evidence."""

    def __init__(self, installation: Installation) -> None:
        self._store = installation.store
        self._home = installation.home

    def check(self, data: bytes, source: str) -> CheckedEvidence:
        """Hold the log against every checkpoint that a file carries, and return the newest.

        `data` is any file that the site gave out: a take-home file, a webhook message, a certificate, an access answer,
        a manifest of a backup, a checkpoint. `source` is what an error calls it.

        Raises:
            InputError: the file carries no checkpoint of this log.
            TamperError: the log is shorter, or has other entries; or the checkpoint is not signed by this site.
        """
        heads = checkpoints_of_file(data, self._store.verifier_key)
        self._hold_against([Evidence(source, head) for head in heads])
        return CheckedEvidence(heads[0], given_up=root_at(self._store, heads[0]) != heads[0].root)

    def check_kept(self) -> Checkpoint | None:
        """Return the checkpoint in the home, after the same check; None if there is none.

        Raises:
            TamperError: as `check`; or a consent in force has no secret.
        """
        head = kept_checkpoint(self._home, self._store.verifier_key)
        if head is not None:
            self._hold_against([Evidence("the checkpoint in the home", head)])
        with self._store.read() as connection:
            if unopenable(connection, self._store.keyring):
                raise lost_secret()
        return head

    def keyring_repairs(self) -> list[Event]:
        """Return when an older keyring was found and repaired, oldest first."""
        with self._store.read() as connection:
            return entries_about_no_person(connection, KEYRING_REPAIRED)

    def _hold_against(self, evidence: Sequence[Evidence]) -> None:
        misfit = self._store.hold_against(evidence)
        if misfit is not None:
            raise misfit.error()
