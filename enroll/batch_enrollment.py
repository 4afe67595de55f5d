"""Batch enrollment: many people who have given consent, one after the other, with a report about each.

Consent is never created here: each person is named by the receipt of a consent that is in force. A refusal concerns one
person; the others are enrolled all the same. A second run does not enroll a person again: the store says who is.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, final

from volens.consent import InputError, ReceiptId, TakeHome, UnavailableError, VolensError
from volens.enroll.enrollment import Enrolled, enroll
from volens.face import EncodedImage, Extractor, image_paths
from volens.index import Installation
from volens.store.people import add_external_id, has_reference
from volens.store.people.badges import has_badge

RECEIPT_SUFFIXES: Final = frozenset({".json", ".jws"})
MAX_RECEIPT_BYTES: Final = 1 << 20


class EnrollmentOutcome(StrEnum):
    """What a batch did about one person."""

    ENROLLED = "enrolled"
    ALREADY = "already enrolled"
    REFUSED = "refused"


@final
@dataclass(frozen=True, slots=True)
class Applicant:
    """A person to be enrolled.

    Attributes:
        label: how the report names the person: the folder, or the row of the table.
        receipt: file of the receipt or take-home.
        photos: files, or folders of them.
        external_id: the person's id in the staff list, to be linked with the consent; None for none.
        problem: why the person cannot be enrolled, known before any file is read; empty if there is none.
    """

    label: str
    receipt: Path
    photos: Sequence[Path]
    external_id: str | None = None
    problem: str = ""


@final
@dataclass(frozen=True, slots=True)
class EnrollmentReport:
    """What was done about one person.

    Attributes:
        reason: why it was refused; empty otherwise.
    """

    label: str
    outcome: EnrollmentOutcome
    reason: str = ""
    receipt_id: ReceiptId | None = None
    enrolled: Enrolled | None = None


def people_in(folder: Path) -> list[Applicant]:
    """Return the people of a folder that has one folder for each: one receipt (.json, .jws) and photos.

    The QR codes that were written next to a receipt are no photos.

    Raises:
        InputError: there is no such folder, or it contains no folder.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; expected one with a folder for each person")
    people = []
    for own in sorted(one for one in folder.iterdir() if one.is_dir() and not one.name.startswith(".")):
        files = sorted(one for one in own.iterdir() if one.is_file() and not one.name.startswith("."))
        receipts = [one for one in files if one.suffix.lower() in RECEIPT_SUFFIXES]
        photos = [one for one in files if one not in receipts and not _is_no_photo(one)]
        problem = ""
        if len(receipts) != 1:
            problem = f"expected one receipt (.json or .jws) in the folder, found {len(receipts)}"
        people.append(Applicant(own.name, receipts[0] if receipts else own, photos, problem=problem))
    if not people:
        raise InputError(f"the folder {folder} contains no folder; expected one for each person")
    return people


def enroll_people(
    installation: Installation,
    load_extractor: Callable[[], Extractor],
    people: Sequence[Applicant],
    *,
    allow_few: bool = False,
) -> Iterator[EnrollmentReport]:
    """Enroll people one after the other; yield what was done about each, in their order.

    1. The receipt is read; the consent must be in force (`volens.enroll.enroll` checks it).
    2. If it has a reference of the model already, the person is not enrolled again.
    3. The external id is linked to the consent; a link that is there already stays.
    4. The photos are analysed, and the reference is stored.

    Raises:
        UnavailableError: the store or the models cannot be used; those before were enrolled, and a second run goes on.

    Not checked: that the photos of a folder show the person who signed its receipt.
    """
    for person in people:
        try:
            yield _enroll_one(installation, load_extractor, person, allow_few=allow_few)
        except UnavailableError:
            raise
        except VolensError as error:
            yield EnrollmentReport(person.label, EnrollmentOutcome.REFUSED, str(error))


def _enroll_one(
    installation: Installation, load_extractor: Callable[[], Extractor], person: Applicant, *, allow_few: bool
) -> EnrollmentReport:
    if person.problem:
        raise InputError(person.problem)
    # 1.
    receipt = TakeHome.parse(_read(person.receipt)).receipt
    receipt_id = receipt.claims.receipt_id
    # 2.
    store, model_id = installation.store, load_extractor().model.model_id
    with store.read() as connection:
        is_done = has_reference(connection, receipt_id, model_id) or has_badge(connection, receipt_id, model_id)
    # 3.
    if person.external_id is not None:
        with store.write() as tx:
            add_external_id(tx, store.keyring, receipt_id, person.external_id)
    if is_done:
        return EnrollmentReport(person.label, EnrollmentOutcome.ALREADY, receipt_id=receipt_id)
    # 4.
    photos = [EncodedImage.read(path) for path in image_paths(person.photos) if not _is_no_photo(path)]
    enrolled = enroll(installation, load_extractor, receipt, photos, allow_few=allow_few)
    return EnrollmentReport(person.label, EnrollmentOutcome.ENROLLED, receipt_id=receipt_id, enrolled=enrolled)


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_RECEIPT_BYTES:
            raise InputError(f"got a receipt {path.name} of more than {MAX_RECEIPT_BYTES} bytes; check the file")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read receipt {path.name}: {error.strerror}; check the path") from None


def _is_no_photo(path: Path) -> bool:
    """Return whether a file next to a receipt is a QR code, a key or a secret that was written with it."""
    inner = Path(path.stem).suffix
    return path.suffix.lower() in {".key", ".pem", ".txt", ".pdf", ".html"} or inner == ".qr" or inner[:4] == ".qr-"
