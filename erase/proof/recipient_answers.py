"""Recipients of a zone's data, and their acknowledgements of erasures (GDPR 19): `Site.rights.recipients`."""

from hashlib import sha256
from pathlib import Path
from typing import Final, final

from volens.consent import Purpose, RefusedError, UnknownError, parse_purpose
from volens.erase.journal import certificates_of, receipt_of_certificate
from volens.erase.proof.acknowledgement import ACKNOWLEDGEMENT, acknowledgement_content, check_statement
from volens.erase.proof.certificate import CERTIFICATE, verify_certificate
from volens.erase.proof.certify import certificate_path
from volens.index import Installation
from volens.store.files import make_home_folder, write_public
from volens.store.promises import Recipient, acknowledgements_of, recipients_of, zones
from volens.store.promises.recipients import add_acknowledgement, add_recipient, recipient_named, remove_recipient

_NO_CONTACT: Final = "see the controller"


@final
class Recipients:
    """The recipients of a site, and whether they erased too."""

    def __init__(self, installation: Installation) -> None:
        self._store = installation.store
        self._home = installation.home

    def add(self, zone: str, name: str, *, contact: str | None = None, public_key: bytes | None = None) -> Recipient:
        """Record that a recipient receives data of a zone; see `volens.store.promises.recipients.add_recipient`."""
        with self._store.write() as tx:
            return add_recipient(tx, parse_purpose(zone), name, contact or _NO_CONTACT, public_key)

    def remove(self, zone: str, name: str) -> Recipient:
        """Record that a recipient receives no more data; see `volens.store.promises.recipients.remove_recipient`."""
        with self._store.write() as tx:
            return remove_recipient(tx, parse_purpose(zone), name)

    def list(self, zone: str | None = None, *, removed: bool = False) -> list[Recipient]:
        """Return the recipients of one or all zones; with `removed`, also those that were removed."""
        with self._store.read() as connection:
            wanted = [parse_purpose(zone)] if zone else [one.purpose for one in zones(connection)]
            return [one for purpose in wanted for one in recipients_of(connection, purpose, removed=removed)]

    def acknowledge(self, certificate_id: str, name: str, statement: bytes) -> Path:
        """Add a recipient's answer to a certificate; return the path of the certificate's file, which now contains it.

        1. The certificate is this site's, holds, and names the recipient.
        2. If the recipient has a key, it signed the statement, which is about this certificate. Without a key, the
           statement is any file that the operator received, and only its hash is kept.
        3. The site signs, stores and logs the answer; then the certificate's file is written again.

        Raises:
            InputError: no such certificate or recipient, or not a statement about it.
            RefusedError: the certificate does not name the recipient, or the recipient answered before.
            TamperError: the certificate does not hold, or the statement is not by the recipient.
            UnavailableError: the disk refuses; the answer is stored, and the next answer writes both to the file.
        """
        store = self._store
        # 1.
        with store.read() as connection:
            receipt_id = receipt_of_certificate(connection, certificate_id)
            if receipt_id is None:
                raise UnknownError("there is no certificate of this id here; use the name of its file")
            certificate = certificates_of(connection, [receipt_id])[receipt_id]
            checked = verify_certificate(CERTIFICATE.to_file(certificate.token), store.verifier_key)
            recipient = recipient_named(connection, Purpose(checked.zone), name)
        named = {one["recipient_id"] for one in checked.statement["recipients"]}
        if recipient.recipient_id not in named:
            raise RefusedError("this certificate does not name this recipient; nothing was changed")
        # 2.
        if recipient.public_key is not None:
            check_statement(statement, certificate_id, recipient.public_key)
        # 3.
        with store.write() as tx:
            content = acknowledgement_content(certificate_id, recipient.name, tx.now, statement, recipient.public_key)
            token = ACKNOWLEDGEMENT.sign(store.keyring, content)
            details = {"certificate_id": certificate_id, "acknowledgement_sha256": sha256(token.encode()).hexdigest()}
            add_acknowledgement(tx, receipt_id, recipient, token, details)
        with store.read() as connection:
            answers = acknowledgements_of(connection, [receipt_id])[receipt_id]
        path = certificate_path(self._home, certificate)
        make_home_folder(self._home, path.parent.name)
        write_public(path, CERTIFICATE.to_file(certificate.token, answers), replace=True)
        return path
