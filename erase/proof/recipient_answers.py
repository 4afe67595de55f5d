"""Recipients of a zone's data, and their answers when somebody is erased: `Site.rights.recipients`."""

from hashlib import sha256
from pathlib import Path
from typing import Final, final

from volens.consent import Purpose, RefusedError, UnavailableError, UnknownError, parse_purpose
from volens.erase.journal import certificates_of, receipt_of_certificate
from volens.erase.proof.acknowledgement import ACKNOWLEDGEMENT_TYPE, acknowledgement_payload, check_statement
from volens.erase.proof.certificate import certificate_file, verify_certificate
from volens.erase.proof.certify import certificate_path
from volens.store import Store
from volens.store.files import write_private
from volens.store.programs import Recipient, acknowledgements_of, recipients_of
from volens.store.programs.recipients import add_acknowledgement, add_recipient, recipient_named, remove_recipient
from volens.store.promises import zones

_NO_CONTACT: Final = "see the controller"


@final
class Recipients:
    """Who receives what, and whether they erased too."""

    def __init__(self, store: Store, home: Path) -> None:
        """Work on what the site holds open."""
        self._store = store
        self._home = home

    def add(self, zone: str, name: str, *, contact: str | None = None, public_key: bytes | None = None) -> Recipient:
        """Record that somebody receives data of a zone; see `volens.store.programs.recipients.add_recipient`."""
        with self._store.write() as tx:
            return add_recipient(tx, parse_purpose(zone), name, contact or _NO_CONTACT, public_key)

    def remove(self, zone: str, name: str) -> Recipient:
        """Record that somebody receives no more; see `volens.store.programs.recipients.remove_recipient`."""
        with self._store.write() as tx:
            return remove_recipient(tx, parse_purpose(zone), name)

    def list(self, zone: str | None = None, *, removed: bool = False) -> list[Recipient]:
        """Return the recipients of a zone, or of all; on demand also those removed."""
        with self._store.read() as connection:
            wanted = [parse_purpose(zone)] if zone else [one.purpose for one in zones(connection)]
            return [one for purpose in wanted for one in recipients_of(connection, purpose, removed=removed)]

    def acknowledge(self, certificate_id: str, name: str, statement: bytes) -> Path:
        """Add a recipient's answer to a certificate; return the certificate's file, which has it now.

        1. The certificate is this site's, holds, and names the recipient.
        2. A recipient with a key signed the statement, and it is about this certificate. Without a key, the statement
           is whatever the operator was given, and only its hash is kept.
        3. The site signs the answer, keeps it and logs it; then the file is written anew.

        Raises:
            InputError: no such certificate or recipient, or no statement about it.
            RefusedError: the certificate does not name the recipient, or they answered before.
            TamperError: the certificate does not hold, or the statement is not by the recipient.
            UnavailableError: the disk refuses; the answer is kept, and in the file with the next one.
        """
        store = self._store
        # 1.
        with store.read() as connection:
            receipt_id = receipt_of_certificate(connection, certificate_id)
            if receipt_id is None:
                raise UnknownError("there is no certificate of this id here; use the name of its file")
            certificate = certificates_of(connection, [receipt_id])[receipt_id]
            checked = verify_certificate(certificate_file(certificate.token), store.verifier_key)
            recipient = recipient_named(connection, Purpose(checked.zone), name)
        named = {one["recipient_id"] for one in checked.statement["recipients"]}
        if recipient.recipient_id not in named:
            raise RefusedError("this certificate does not name this recipient; nothing was changed")
        # 2.
        if recipient.public_key is not None:
            check_statement(statement, certificate_id, recipient.public_key)
        # 3.
        with store.write() as tx:
            payload = acknowledgement_payload(certificate_id, recipient.name, tx.now, statement, recipient.public_key)
            token = store.keyring.sign(payload, ACKNOWLEDGEMENT_TYPE)
            details = {"certificate_id": certificate_id, "acknowledgement_sha256": sha256(token.encode()).hexdigest()}
            add_acknowledgement(tx, receipt_id, recipient, token, details)
        with store.read() as connection:
            answers = acknowledgements_of(connection, [receipt_id])[receipt_id]
        path = certificate_path(self._home, certificate)
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise UnavailableError(f"cannot make {path.parent}: {error.strerror}; check the disk") from None
        write_private(path, certificate_file(certificate.token, answers), replace=True)
        return path
