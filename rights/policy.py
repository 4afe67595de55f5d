"""The retention policy: what is kept for how long, generated from the configuration that the sweep itself uses.

JSON-LD with terms of the Data Privacy Vocabulary (DPV), and the numbers of days also in fields of their own. The file
carries the site's signature, so a copy on a web page can be verified with ``site.pub``. It names and counts no person.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from markupsafe import Markup
from sqlalchemy import Connection, select

from volens.audit import VerifierKey, origin_of, refuse_other_origin
from volens.consent import EndReason, InputError, SignedDocument, TamperError, Zone, format_time
from volens.consent.canonical import canonical_sha256
from volens.consent.clocks import INACTIVE_AFTER_DAYS, LEGAL_SOURCES, superseded_at
from volens.consent.json_reader import read_json
from volens.erase.pages import DEFAULT_LANGUAGE, PageLanguage, PageWords, render_page
from volens.store import Store
from volens.store.people.disclosures import KEPT_DAYS
from volens.store.promises import recipients_of, zones
from volens.store.schema import data_tables as tables

_WORDS: Final = PageWords("retention_policy", DEFAULT_LANGUAGE)
_SIGNATURE: Final = "volens:signature"
_CONTEXT: Final = {
    "dpv": "https://w3id.org/dpv#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "dct": "http://purl.org/dc/terms/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "volens": "urn:volens:policy#",
}


RETENTION_POLICY: Final = SignedDocument(
    typ="volens-retention-policy+jws",
    name="a retention policy",
    advice="use one as 'volens policy' writes it",
    read=lambda document, _token: str(document["policy_sha256"]),
    version_member="v",
    max_bytes=4 * 1024 * 1024,
)


def build_policy(store: Store) -> dict[str, Any]:
    """Return the policy as of now: site, zones, clocks, recipients. Unsigned; see `policy_file`."""
    controller = store.site.controller
    with store.read() as connection:
        described = [_zone(connection, zone) for zone in zones(connection)]
    return {
        "@context": dict(_CONTEXT),
        "@type": "dpv:StoragePolicy",
        "volens:version": RETENTION_POLICY.version,
        "volens:site": controller.site_id,
        "dct:issued": format_time(store.now()),
        "dpv:hasDataController": {
            "@type": "dpv:DataController",
            "dpv:hasName": controller.name,
            "dpv:hasContact": controller.contact,
        },
        "volens:afterwards": _WORDS.text("afterwards"),
        "volens:evidence": _WORDS.text("evidence"),
        "volens:namesShown": _WORDS.text("names_shown", days=KEPT_DAYS),
        "volens:namesShownDays": KEPT_DAYS,
        "volens:photos": "never stored",
        "volens:scores": "no score of a visit is stored; counts of scores of enrollment photos are, until the end",
        "volens:strangers": "a face that matches no person is not stored",
        "dpv:hasPersonalDataHandling": described,
    }


def policy_file(store: Store) -> bytes:
    """Return the policy with the site's signature: a compact JWS over the SHA-256 of its canonical JSON (RFC 8785)."""
    document = build_policy(store)
    content = {"v": RETENTION_POLICY.version, "policy_sha256": canonical_sha256(document)}
    signed = {**document, _SIGNATURE: RETENTION_POLICY.sign(store.keyring, content)}
    return json.dumps(signed, indent=2, ensure_ascii=False).encode("utf-8") + b"\n"


def verify_policy(data: bytes, key: VerifierKey) -> dict[str, Any]:
    """Return the policy of a file, if the site that owns `key` signed every word of it.

    White space and the order of members may differ, because a web server or an editor may have rewritten the file.

    Raises:
        InputError: the file is not a policy.
        WrongKeyError: the policy says that it is of another site.
        TamperError: it was changed.
    """
    problem = f"this is not {RETENTION_POLICY.name}; {RETENTION_POLICY.advice}"
    if len(data) > RETENTION_POLICY.max_bytes:
        raise InputError(problem)
    try:
        document = read_json(data)
        token = document.pop(_SIGNATURE)
        digest = canonical_sha256(document)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(problem) from None
    if not isinstance(document, dict) or not isinstance(token, str):
        raise InputError(problem)
    try:
        signed = RETENTION_POLICY.verify(token, *key.public_keys)
    except TamperError:
        if isinstance(site_id := document.get("volens:site"), str):
            refuse_other_origin("this policy", origin_of(site_id), key)
        raise
    if signed != digest:
        raise TamperError("integrity: the retention policy is not the one that was signed; get it from the site again")
    return document


def policy_page(policy: Mapping[str, Any], language: PageLanguage = DEFAULT_LANGUAGE) -> str:
    """Return a policy as an HTML page for people."""
    return render_page("retention_policy.html", language=language, policy=policy)


def _zone(connection: Connection, zone: Zone) -> dict[str, Any]:
    return {
        "@type": "dpv:PersonalDataHandling",
        "volens:zone": zone.purpose,
        "volens:title": zone.title,
        "volens:state": zone.state.value,
        "dpv:hasPurpose": "dpv:IdentityVerification",
        "dpv:hasPersonalData": ["dpv:BiometricData", "dpv:Identifying"],
        "dpv:hasLegalBasis": ["eu-gdpr:A6-1-a", "eu-gdpr:A9-2-a"],
        "volens:custody": zone.custody.value,
        "volens:secondFactor": zone.second_factor.value,
        "volens:deskSignature": zone.desk_signature.value,
        "volens:fpir": zone.fpir.value,
        "volens:trigger": zone.trigger.value,
        "volens:liveness": zone.liveness.value,
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
        "dpv:hasRight": ["eu-gdpr:A7-3", "eu-gdpr:A15", "eu-gdpr:A17", "eu-gdpr:A18", "eu-gdpr:A20"],
    }


def _clocks(zone: Zone) -> dict[EndReason, str]:
    """Return each clock as a sentence, in the order of `volens.consent.clocks`."""
    days = {"days": zone.retention_days, "inactive_days": INACTIVE_AFTER_DAYS}
    return {reason: _WORDS.text(f"clock {reason.value}", **days) for reason in LEGAL_SOURCES}


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


def policy_body(policy: Mapping[str, Any], language: PageLanguage = DEFAULT_LANGUAGE) -> Markup:
    """Return the text of a policy as HTML, for a page that has its own head and style."""
    body = render_page("retention_policy_body.html", page="retention_policy", language=language, policy=policy)
    return Markup(body)  # noqa: S704  our own template, which escapes values
