"""`volens certificate list` and `print`: find the certificate of a person whose name is erased, and print it.

What finds it stays after an erasure as evidence: the receipt, its id, the id of the person's key, the digest of the
withdrawal code, the zone, the reason and the day.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import typer

from volens import Site
from volens.audit.cosignature import cosignatures_of
from volens.consent import (
    EndReason,
    InputError,
    NoLiveConsentError,
    ReceiptId,
    RefusedError,
    TamperError,
    parse_purpose,
)
from volens.consent.errors import DamagedDataError
from volens.consent.receipt import notice_language
from volens.consent.typed_text import parse_code, same_text
from volens.erase.pages import page_language
from volens.erase.proof import Certificate, CertificateFilter, IssuedCertificate, is_for, verify_certificate
from volens.service.certificate_page import certificate_page
from volens.service.cli.carried_secrets import withdrawal_shown
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.named_files import must_be_new, read_file, read_stdin_line, write_private, write_public
from volens.service.cli.options import LanguageOption
from volens.service.cli.output import counted, members, note, shown, table
from volens.service.cli.person_argument import is_file, receipts_meant
from volens.service.csv_table import csv_table
from volens.service.local_times import local_text, parse_moment, parse_since
from volens.store.log import CERTIFICATES
from volens.store.people import stored_receipt

app: Final = Commands()

_MAX_CODE_CHARACTERS: Final = 300
_SHORT: Final = 8
_ID: Final = re.compile(f"[0-9a-f]{{{_SHORT},32}}")
_MEMBERS: Final = "certificate_id zone=purpose reason ended_at issued_at receipt_id"
_CSV: Final = ("ended_at", "reason", "zone", "certificate_id", "receipt_id", "issued_at", "file")
_NOBODY: Final = (
    "no one is found by this. A name is erased with the consent: pass the receipt's file, its id or the withdrawal "
    "code (--code), or find the certificate by its day with 'volens certificate list --since DAY'"
)
_NONE: Final = (
    "there is no certificate for this: a consent in force has none (volens people show), and an erasure that is not "
    "finished gets it with 'volens sweep'"
)

_Which = Annotated[
    str | None,
    typer.Argument(
        metavar="CERTIFICATE",
        help="The certificate's id or its first 8 digits, its file, or what 'volens certificate list' takes for a "
        "person.",
        show_default=False,
    ),
]
_Code = Annotated[
    str | None, typer.Option(help="The person's withdrawal code; '-' reads it from stdin.", show_default=False)
]


@app.command("list", "--since 2026-11-01 --zone lobby\nada.receipt.json")
def list_(
    site: Site,
    who: Annotated[
        str | None,
        typer.Argument(
            metavar="PERSON",
            help="Only of this person: a receipt file, a receipt id, a subject id, a picture of the code's QR code, or "
            "the name of a person with a newer consent in force.",
            show_default=False,
        ),
    ] = None,
    code: _Code = None,
    zone: Annotated[str | None, typer.Option(help="Only this zone.")] = None,
    reason: Annotated[
        EndReason | None,
        typer.Option(
            metavar="REASON",
            help="Only consents that ended for this reason, such as withdrawn, expired, left, requested or ordered.",
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Only consents that ended on this day (2026-11-01), at this time, or later.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Only consents that ended on this day, or before it.")] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Write the list to this file (0600) instead.", show_default=False)
    ] = None,
) -> Output:
    """List the erasure certificates that this site issued, the newest first. No name is in them.

    Days are those of the site's time zone.
    """
    must_be_new(csv_file, "list")
    now, local = site.now(), site.defaults.time_zone()
    wanted = CertificateFilter(
        None if zone is None else parse_purpose(zone),
        reason,
        None if since is None else parse_since(since, now, local),
        None if until is None else parse_moment(until, now, local),
        _consents(site, who, code),
    )
    if wanted.since is not None and wanted.until is not None and wanted.since >= wanted.until:
        raise InputError("--since is not before --until, so no certificate is between them; exchange the two")
    found = list(_every(site, wanted))
    document = [_document(site, one) for one in found]
    if csv_file is not None:
        write_private(csv_file, csv_table(_CSV, document))
        text = f"wrote {counted(len(found), 'certificate')} to {shown(csv_file)}"
        return {"csv": str(csv_file), "certificates": len(found)}, text
    if not found:
        return document, "no certificate" if who is None and code is None else _NONE
    return document, _table(site, found, local)


@app.command("export", "ada.receipt.json --out certificate.json")
def export(
    site: Site,
    out: Annotated[Path, typer.Option(help="The file to write, for the person.")],
    which: _Which = None,
    code: _Code = None,
) -> Output:
    """Find one certificate and write its file as it is now, with answers of recipients and cosignatures."""
    must_be_new(out, "the certificate")
    if (which is None) == (code is None):
        raise InputError("pass either a certificate, a receipt or an id, or --code")
    (issued,) = site.erasures.issued(CertificateFilter(receipt_ids=[_meant(site, which, code)]))
    data = site.erasures.certificate(issued.certificate_id)
    checked = verify_certificate(data, site.verifier_key)
    write_public(out, data)
    later = checked.witnessed
    keys = [one.witness.key for one in site.log.witnesses.all(removed=True)]
    seen = 0 if later is None else len(cosignatures_of(later.note, keys))
    document = _document(site, issued) | {"file": str(out), "cosignatures": seen}
    return document, f"wrote {shown(out)}, with {counted(seen, 'cosignature')} of witnesses"


@app.command("print", "ada.receipt.json --html certificate.html\n5d1c9f2a --html certificate.html")
def print_(
    site: Site,
    html: Annotated[Path, typer.Option(help="The page to write: one sheet of A4, for the person.")],
    which: _Which = None,
    code: _Code = None,
    language: LanguageOption = None,
) -> Output:
    """Find one certificate of this site, check it, and write it as a page to print for the person."""
    must_be_new(html, "the page")
    if (which is None) == (code is None):
        raise InputError("pass either a certificate, a receipt or an id, or --code")
    receipt_id = _meant(site, which, code)
    (issued,) = site.erasures.issued(CertificateFilter(receipt_ids=[receipt_id]))
    checked = verify_certificate(site.erasures.certificate(issued.certificate_id), site.verifier_key)
    chosen = language or page_language(_notice_language(site, receipt_id, checked))
    page = certificate_page(checked, site.verifier_key, chosen, site.defaults.time_zone())
    write_public(html, page.encode("utf-8"))
    document = _document(site, issued) | {"page": str(html), "language": chosen}
    return document, (
        f"wrote {shown(html)}; open it in a browser, or print it\n"
        f"give the person the file too, by which anyone can check it: {shown(document['file'])}"
    )


def _every(site: Site, wanted: CertificateFilter) -> Iterator[IssuedCertificate]:
    after = ""
    while page := site.erasures.issued(wanted, after=after):
        yield from page
        after = page[-1].position


def _consents(site: Site, who: str | None, code: str | None) -> list[ReceiptId] | None:
    """Return the consents of what names a person, in force or ended; None if nothing was given.

    A receipt, its id and a code name one consent; a subject id, a name or an external id all consents of the key.

    Raises:
        InputError: both were given, or a file is something else.
        NoLiveConsentError: no one is found.
        ReceiptError, TamperError: the receipt is malformed, or not the one recorded.
    """
    if who is not None and code is not None:
        raise InputError("pass either a person or --code, not both")
    if code == "-":
        code = read_stdin_line(_MAX_CODE_CHARACTERS, "the withdrawal code")
    taken = None
    if who is not None and is_file(who):
        taken, code = withdrawal_shown(Path(who))
    if taken is not None or code is not None:
        return [site.rights.consent_shown(receipt=taken, code=code)]
    if who is None:
        return None
    try:
        meant = receipts_meant(site, who)
    except NoLiveConsentError:
        raise NoLiveConsentError(_NOBODY) from None
    return meant[:1] if same_text(who, meant[0]) else site.receipts_of(meant[0])


def _meant(site: Site, which: str | None, code: str | None) -> ReceiptId:
    """Return the consent of one certificate.

    Raises:
        InputError: several certificates are meant.
        RefusedError: there is none, because the consent is in force or the erasure is not finished.
        NoLiveConsentError, ReceiptError, TamperError: see `_consents`.
    """
    if which is not None and is_file(which):
        with suppress(InputError):  # then it is a receipt, or a picture
            found = site.erasures.of_certificate(read_file(Path(which), "certificate"))
            if found is not None:
                return found
    beginning = "" if which is None else parse_code(which).lower()
    if _ID.fullmatch(beginning):
        ids = site.erasures.ids_beginning_with(beginning)
        if len(ids) > 1:
            raise InputError("several certificates begin with these digits; type more of them")
        if ids:
            return site.erasures.consent_of(ids[0])
    issued = site.erasures.issued(CertificateFilter(receipt_ids=_consents(site, which, code)))
    if not issued:
        raise RefusedError(_NONE)
    if len(issued) > 1:
        note(_table(site, issued, site.defaults.time_zone()))
        raise InputError(f"this person has {len(issued)} certificates; pass the first 8 digits of one of them")
    return issued[0].receipt_id


def _notice_language(site: Site, receipt_id: ReceiptId, checked: Certificate) -> str | None:
    """Return the language of the notice that the person read; None if the stored receipt is damaged.

    Raises:
        TamperError: the certificate is about another receipt.
    """
    with site.installation.store.read() as connection:
        stored = stored_receipt(connection, receipt_id)
    try:
        receipt = None if stored is None else stored.verified()
    except TamperError:
        return None
    if receipt is not None and not is_for(checked, receipt):
        raise DamagedDataError("a certificate is stored for another consent")
    return None if receipt is None else notice_language(receipt)


def _document(site: Site, one: IssuedCertificate) -> dict[str, Any]:
    return members(one, _MEMBERS) | {"file": str(site.home / CERTIFICATES / f"{one.certificate_id}.json")}


def _table(site: Site, found: Sequence[IssuedCertificate], local: ZoneInfo) -> str:
    rows = [
        (
            local_text(one.ended_at, local),
            one.reason,
            one.purpose,
            one.certificate_id[:_SHORT],
            site.home / CERTIFICATES / f"{one.certificate_id}.json",
        )
        for one in found
    ]
    return table(("ended", "reason", "zone", "certificate", "file"), rows)
