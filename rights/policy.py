"""The retention policy: what is kept for how long, generated from the configuration that the sweep itself reads.

JSON-LD with terms of the Data Privacy Vocabulary (DPV), and the numbers once more in fields of their own, in days. The
file carries the site's signature over it, so a copy on a web page can be checked with ``site.pub``. It names no person
and counts nobody.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from html import escape
from typing import Any, Final

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection, select

from volens.audit import VerifierKey
from volens.consent import EndReason, InputError, TamperError, Zone, format_time
from volens.consent import jws as consent_jws
from volens.consent.clocks import INACTIVE_AFTER_DAYS, LEGAL_SOURCES, superseded_at
from volens.store import Store
from volens.store.programs import recipients_of
from volens.store.promises import zones
from volens.store.schema import data_tables as tables

POLICY_TYPE: Final = "volens-retention-policy+jws"
VERSION: Final = 1
MAX_FILE_BYTES: Final = 4 * 1024 * 1024
_SIGNATURE: Final = "volens:signature"
_CONTEXT: Final = {
    "dpv": "https://w3id.org/dpv#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "dct": "http://purl.org/dc/terms/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "volens": "urn:volens:policy#",
}


def build_policy(store: Store) -> dict[str, Any]:
    """Return the policy as it is now: site, zones, clocks, recipients. Without a signature; see `policy_file`."""
    controller = store.site.controller
    with store.read() as connection:
        described = [_zone(connection, zone) for zone in zones(connection)]
    return {
        "@context": dict(_CONTEXT),
        "@type": "dpv:StoragePolicy",
        "volens:version": VERSION,
        "volens:site": controller.site_id,
        "dct:issued": format_time(store.now()),
        "dpv:hasDataController": {
            "@type": "dpv:DataController",
            "dpv:hasName": controller.name,
            "dpv:hasContact": controller.contact,
        },
        "volens:afterwards": (
            "when a clock runs out nobody is matched from that moment on; the sweep then destroys the key, the sealed "
            "embedding, the search sketch and the name, and issues a signed certificate"
        ),
        "volens:evidence": (
            "the signed receipt, the reason and time of the end and the certificate are kept as proof; they hold no "
            "biometrics and no name, and no period is set for them"
        ),
        "volens:photos": "never stored",
        "volens:strangers": "a face that matches nobody is not stored",
        "dpv:hasPersonalDataHandling": described,
    }


def policy_file(store: Store) -> bytes:
    """Return the policy with the site's signature: a compact JWS over the SHA-256 of its canonical JSON (RFC 8785)."""
    document = build_policy(store)
    signed = {**document, _SIGNATURE: store.keyring.sign(_digest(document), POLICY_TYPE)}
    return json.dumps(signed, indent=2, ensure_ascii=False).encode("utf-8") + b"\n"


def verify_policy(data: bytes, key: VerifierKey) -> dict[str, Any]:
    """Return the policy of a file, if the site that owns `key` signed every word of it.

    Spaces and the order of the fields may differ: a web server or an editor may have written it again.

    Raises:
        InputError: the file is no policy.
        TamperError: it was changed, or signed by somebody else.
    """
    problem = "got a file that is no retention policy; use one as 'volens policy' writes it"
    if len(data) > MAX_FILE_BYTES:
        raise InputError(problem)
    try:
        document = json.loads(data.decode("utf-8"), object_pairs_hook=_once)
        token = document.pop(_SIGNATURE)
        digest = _digest(document)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(problem) from None
    if not isinstance(document, dict) or not isinstance(token, str):
        raise InputError(problem)
    if consent_jws.verify(token, POLICY_TYPE, Ed25519PublicKey.from_public_bytes(key.public_key)) != digest:
        raise TamperError("integrity: the retention policy is not the one that was signed; get it from the site again")
    return document


def policy_page(policy: Mapping[str, Any]) -> str:
    """Return a policy as a plain page of HTML, for people; no scripts, nothing fetched."""
    controller = policy["dpv:hasDataController"]
    parts = [
        f"<h1>How long {escape(controller['dpv:hasName'])} keeps face data</h1>",
        f"<p>As of {escape(policy['dct:issued'])}. Contact: {escape(controller['dpv:hasContact'])}.</p>",
    ]
    for zone in policy["dpv:hasPersonalDataHandling"]:
        clocks = "".join(
            f"<li>{escape(one['dpv:hasDescription'])} <small>{escape(one['dpv:hasLegalBasis'])}</small></li>"
            for one in zone["volens:clocks"]
        )
        recipients = ", ".join(escape(one["dpv:hasName"]) for one in zone["dpv:hasRecipient"]) or "nobody"
        parts.append(
            f"<h2>{escape(zone['volens:zone'])}</h2>"
            f"<p>Whoever says no: {escape(zone['volens:alternative'])}.</p>"
            f"<p>Your data goes when the first of these ends, or when you withdraw:</p><ul>{clocks}</ul>"
            f"<p>Your own passages are kept {zone['volens:matchHistoryDays']} days for you to ask for. "
            f"Given to: {recipients}.</p>"
        )
    parts += [f"<p>{escape(policy[name]).capitalize()}.</p>" for name in ("volens:afterwards", "volens:evidence")]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Retention policy</title>'
        '<meta name="viewport" content="width=device-width">'
        "<style>body{font:16px/1.5 sans-serif;max-width:44em;margin:2em auto;padding:0 1em}small{color:#555}</style>"
        + "".join(parts)
        + "</html>\n"
    )


def _zone(connection: Connection, zone: Zone) -> dict[str, Any]:
    return {
        "@type": "dpv:PersonalDataHandling",
        "volens:zone": zone.purpose,
        "dpv:hasPurpose": "dpv:IdentityVerification",
        "dpv:hasPersonalData": ["dpv:BiometricData", "dpv:Identifying"],
        "dpv:hasLegalBasis": ["eu-gdpr:A6-1-a", "eu-gdpr:A9-2-a"],
        "volens:custody": zone.custody.value,
        "volens:secondFactor": zone.second_factor.value,
        "dpv:hasJustification": zone.justification,
        "volens:alternative": zone.alternative,
        "volens:retentionDays": zone.retention_days,
        "volens:inactiveAfterDays": INACTIVE_AFTER_DAYS,
        "volens:matchHistoryDays": zone.match_history_days,
        "dpv:hasStorageCondition": {
            "@type": "dpv:StorageDuration",
            "dpv:hasDuration": {"@type": "xsd:duration", "@value": f"P{zone.retention_days}D"},
        },
        "volens:clocks": [
            {"volens:reason": reason.value, "dpv:hasDescription": text, "dpv:hasLegalBasis": LEGAL_SOURCES[reason]}
            for reason, text in _clocks(zone).items()
        ],
        "volens:askedAgain": _asked_again(connection, zone),
        "dpv:hasRecipient": [
            {"dpv:hasName": one.name, "dpv:hasContact": one.contact} for one in recipients_of(connection, zone.purpose)
        ],
        "dpv:hasRight": ["eu-gdpr:A7-3", "eu-gdpr:A15", "eu-gdpr:A17", "eu-gdpr:A20"],
    }


def _clocks(zone: Zone) -> dict[EndReason, str]:
    """Return each clock in words, in the order of `volens.consent.clocks`."""
    return {
        EndReason.EXPIRED: f"The consent ends after the days that you signed, at most {zone.retention_days}.",
        EndReason.RETENTION: f"Nothing is kept longer than {zone.retention_days} days after you signed.",
        EndReason.INACTIVE: f"It ends when you have not come for {INACTIVE_AFTER_DAYS} days.",
        EndReason.LEFT: "It ends when your contract does.",
        EndReason.SUPERSEDED: "It ends if a new notice asks you again and you do not agree within the days it gives.",
    }


def _asked_again(connection: Connection, zone: Zone) -> list[dict[str, Any]]:
    notice = tables.notice.c
    rows = connection.execute(
        select(notice.language, notice.version, notice.published_at, notice.supersedes_within_days)
        .where(notice.purpose == zone.purpose, notice.supersedes_within_days.is_not(None))
        .order_by(notice.language, notice.version)
    )
    return [
        {
            "volens:language": row.language,
            "volens:noticeVersion": row.version,
            "volens:withinDays": row.supersedes_within_days,
            "volens:olderConsentsEnd": format_time(superseded_at(row.published_at, row.supersedes_within_days)),
        }
        for row in rows
    ]


def _digest(document: Mapping[str, Any]) -> bytes:
    return rfc8785.dumps({"v": VERSION, "policy_sha256": sha256(rfc8785.dumps(dict(document))).hexdigest()})


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a field that is there twice: readers would differ on which one counts."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is there twice")
    return found
