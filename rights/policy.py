"""The retention policy: what is kept for how long, under which laws, from the processing record of each zone.

JSON-LD with terms of the Data Privacy Vocabulary (DPV), and the numbers of days also in fields of their own. The file
carries the site's signature, so a copy on a web page can be verified with ``site.pub``. It names and counts no person,
and which laws it states does not depend on people either (`volens.store.promises.stated_jurisdictions`).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup
from sqlalchemy import Connection, select

from volens.audit import VerifierKey
from volens.consent import EndReason, SignedDocument, Zone, format_time
from volens.consent.canonical import canonical_sha256
from volens.consent.clocks import INACTIVE_AFTER_DAYS, LEGAL_SOURCES, superseded_at
from volens.consent.declarations import SiteFact, ZoneFact
from volens.consent.law import CLOCK_NAMES, JurisdictionProfile
from volens.consent.processing_record import ProcessingRecord
from volens.erase.pages import DEFAULT_LANGUAGE, PageLanguage, PageWords, render_page
from volens.rights.dpv_terms import DPV_CONTEXT, PERSONAL_DATA, legal_basis_terms, purpose_terms, right_terms
from volens.rights.kept_kinds import kept_kinds
from volens.rights.signed_json import SignedJson
from volens.store import Store
from volens.store.people.disclosures import KEPT_DAYS
from volens.store.promises import zones
from volens.store.promises.declared_facts import site_facts
from volens.store.promises.processing_records import records_by_jurisdiction
from volens.store.promises.site_profiles import profiles_of_site
from volens.store.promises.stated_jurisdictions import stated_jurisdictions
from volens.store.schema import data_tables as tables

_WORDS: Final = PageWords("retention_policy", DEFAULT_LANGUAGE)
SIGNATURE: Final = "volens:signature"
_CONTEXT: Final = {**DPV_CONTEXT, "xsd": "http://www.w3.org/2001/XMLSchema#", "volens": "urn:volens:policy#"}
CONTROLLER_MEMBERS: Final = {
    SiteFact.ADDRESS: "dpv:hasAddress",
    SiteFact.REPRESENTATIVE: "dpv:hasRepresentative",
    SiteFact.DPO: "dpv:hasDataProtectionOfficer",
    SiteFact.SECURITY_CONTACT: "volens:securityContact",
    SiteFact.INCIDENT_CONTACT: "volens:incidentContact",
    SiteFact.INCIDENT_PROTOCOL: "volens:incidentProtocol",
    SiteFact.STORAGE_PLACE: "volens:storagePlace",
    SiteFact.TRANSFERS: "volens:transfers",
}
"""Declared facts about the controller that anyone may read, by member of the policy; the others are for papers only."""
_OF_ZONE: Final = {
    ZoneFact.AFFECTED: "volens:affected",
    ZoneFact.ALTERNATIVE_COST: "volens:alternativeCost",
    ZoneFact.ALTERNATIVE_TIME: "volens:alternativeTime",
    ZoneFact.ALTERNATIVE_PLACE: "volens:alternativePlace",
    ZoneFact.HUMAN_WAY: "volens:humanWay",
}


RETENTION_POLICY: Final = SignedDocument(
    typ="volens-retention-policy+jws",
    name="a retention policy",
    advice="use one as 'volens policy' writes it",
    read=lambda document, _token: str(document["policy_sha256"]),
    version_member="v",
    max_bytes=4 * 1024 * 1024,
)
_FILE: Final = SignedJson(RETENTION_POLICY, SIGNATURE, "volens:site", "retention policy", "policy")


def build_policy(store: Store) -> dict[str, Any]:
    """Return the policy as of now: site, laws, zones, clocks, recipients. Unsigned; see `policy_file`.

    Raises:
        TamperError: the rows of the site or of a zone do not verify.
    """
    controller = store.site.controller
    with store.read() as connection:
        facts, catalogue = site_facts(connection), profiles_of_site(connection)
        stated = stated_jurisdictions(facts, catalogue)
        described = [
            _zone(connection, records_by_jurisdiction(connection, controller, zone.purpose, stated))
            for zone in zones(connection)
        ]
    return {
        "@context": dict(_CONTEXT),
        "@type": "dpv:DataStoragePolicy",
        "volens:version": RETENTION_POLICY.version,
        "volens:site": controller.site_id,
        "dct:issued": format_time(store.now()),
        "dpv:hasDataController": {
            "@type": "dpv:DataController",
            "dpv:hasName": controller.name,
            "dpv:hasContact": controller.contact,
            **{member: facts[fact] for fact, member in CONTROLLER_MEMBERS.items() if fact in facts},
        },
        "volens:jurisdictions": [_jurisdiction(code, catalogue.profile_of(code)) for code in stated],
        "volens:afterwards": _WORDS.text("afterwards"),
        "volens:evidence": _WORDS.text("evidence"),
        "volens:kept": kept_kinds([(code, catalogue.profile_of(code)) for code in stated]),
        "volens:namesShown": _WORDS.text("names_shown", days=KEPT_DAYS),
        "volens:namesShownDays": KEPT_DAYS,
        "volens:photos": "never stored",
        "volens:scores": "no score of a visit is stored; counts of scores of enrollment photos are, until the end",
        "volens:strangers": "a face that matches no person is not stored",
        "volens:advice": _WORDS.text("no_advice"),
        "dpv:hasPersonalDataProcess": described,
    }


def policy_file(store: Store) -> bytes:
    """Return the policy with the site's signature: a compact JWS over the SHA-256 of its canonical JSON (RFC 8785)."""
    document = build_policy(store)
    content = {"v": RETENTION_POLICY.version, "policy_sha256": canonical_sha256(document)}
    signed = {**document, SIGNATURE: RETENTION_POLICY.sign(store.keyring, content)}
    return json.dumps(signed, indent=2, ensure_ascii=False).encode("utf-8") + b"\n"


def verify_policy(data: bytes, key: VerifierKey) -> dict[str, Any]:
    """Return the policy of a file, if the site that owns `key` signed every word of it.

    White space and the order of members may differ, because a web server or an editor may have rewritten the file.

    Raises:
        InputError: the file is not a policy.
        WrongKeyError: the policy says that it is of another site.
        TamperError: it was changed.
    """
    return _FILE.verify(data, key)


def policy_page(policy: Mapping[str, Any], language: PageLanguage = DEFAULT_LANGUAGE) -> str:
    """Return a policy as an HTML page for people."""
    return render_page("retention_policy.html", language=language, policy=policy)


def _jurisdiction(code: str, profile: JurisdictionProfile) -> dict[str, Any]:
    clocks = profile.clocks
    return {
        "volens:jurisdiction": code,
        "volens:profile": profile.code,
        "volens:names": dict(profile.names),
        "volens:law": profile.law,
        "volens:lawfulBasis": profile.lawful_basis,
        "volens:rights": [right.value for right in profile.rights],
        "dpv:hasAuthority": {
            "@type": "dpv:Authority",
            "dpv:hasName": profile.authority.name[DEFAULT_LANGUAGE],
            "volens:names": dict(profile.authority.name),
            "dpv:hasContact": profile.authority.url,
        },
        "volens:publicPolicy": {
            "volens:required": profile.public_policy.required,
            "dct:source": profile.public_policy.article,
        },
        "volens:periods": [
            {"volens:clock": name, "volens:days": clocks.days(name), "dct:source": clocks.reasons[name]}
            for name in CLOCK_NAMES
        ],
        "volens:checkedOn": max(one.checked_on for one in profile.checked).isoformat(),
    }


def _zone(connection: Connection, records: Sequence[ProcessingRecord]) -> dict[str, Any]:
    one = records[0]
    zone = one.zone
    allowed = [each for each in records if zone.custody not in each.profile.forbidden_custodies]
    return {
        "@type": "dpv:PersonalDataProcess",
        "volens:zone": zone.purpose,
        "volens:title": zone.title,
        "volens:state": zone.state.value,
        "dpv:hasPurpose": purpose_terms(one.comparison),
        "volens:comparison": one.comparison.value,
        "dpv:hasPersonalData": list(PERSONAL_DATA),
        "dpv:hasLegalBasis": legal_basis_terms(allowed),
        "volens:custody": zone.custody.value,
        "volens:secondFactor": zone.second_factor.value,
        "volens:deskSignature": zone.desk_signature.value,
        "volens:fpir": zone.fpir.value,
        "volens:trigger": zone.trigger.value,
        "volens:liveness": zone.liveness.value,
        "volens:leaseSeconds": zone.lease_seconds,
        "dpv:hasJustification": zone.justification,
        "volens:alternative": zone.alternative,
        **{member: one.zone_facts[fact] for fact, member in _OF_ZONE.items() if fact in one.zone_facts},
        "volens:retentionDays": zone.retention_days,
        "volens:inactiveAfterDays": INACTIVE_AFTER_DAYS,
        "volens:matchHistoryDays": zone.match_history_days,
        "dpv:hasStorageCondition": {
            "@type": "dpv:StorageDuration",
            "dpv:hasDuration": {"@type": "xsd:duration", "@value": f"P{zone.retention_days}D"},
        },
        "volens:clocks": [
            {"volens:reason": reason.value, "dct:description": text} for reason, text in _clocks(zone).items()
        ],
        "volens:byJurisdiction": [
            {
                "volens:jurisdiction": each.jurisdiction,
                "dpv:hasLegalBasis": list(each.profile.legal_basis_terms),
                "volens:maxTermDays": each.max_term_days,
                "volens:inactiveAfterDays": each.inactive_after_days,
            }
            for each in allowed
        ],
        "volens:askedAgain": _asked_again(connection, zone),
        "dpv:hasRecipient": [{"dpv:hasName": each.name, "dpv:hasContact": each.contact} for each in one.recipients],
        "dpv:hasRight": right_terms(allowed),
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
