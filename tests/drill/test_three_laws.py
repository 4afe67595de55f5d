"""Drill: a person in France, in Illinois and in Quebec, from the notice to the erasure, each by their own law."""

import json

import pytest
from house import House

from tests.unit.store.raw import DATA, peek
from volens.consent import InputError, RefusedError
from volens.consent.jws import from_b64url
from volens.consent.receipt import verify_receipt
from volens.consent.receipt_offer import signed_words
from volens.erase.proof import is_for, verify_certificate
from volens.store.schema import data_tables

LAWS = {
    "FR": {"gates": {"works_agreement", "dpia"}, "basis": "article 44", "right": "restriction", "words": "Article 44"},
    "US-IL": {"gates": set(), "basis": "BIPA", "right": "withdrawal", "words": "740 ILCS 14"},
    "CA-QC": {"gates": {"declared_on", "dpia"}, "basis": "C-1.1", "right": "explanation", "words": "C-1.1"},
}
ANSWERS = {"human_way": "the guard at the gate opens", "minors": "refused", "context": "a server room"}
OF_CONSENTS = [name for name, table in data_tables.metadata.tables.items() if "receipt_id" in table.columns]


def rows_of(house: House, table: str, receipt_id: str) -> int:
    query = f"SELECT count(*) FROM {table} WHERE receipt_id = ?"  # noqa: S608  the name of a table of ours
    return int(peek(house.site.home / DATA, query, receipt_id)[0][0])


@pytest.mark.parametrize("law", LAWS)
def test_from_the_notice_to_the_erasure(house: House, law: str) -> None:
    site, wanted = house.site, LAWS[law]
    site.add_zone("vault", custody="operator", justification="hands are full", alternative="a badge", retention_days=60)
    site.defaults.set(jurisdiction=law)
    site.rights.recipients.add("vault", "Guard Co", contact="guard@example.org")

    # 1. A draft with gaps is not published; without them it is.
    site.declarations.declare({"transfers": ""})
    draft, gaps = site.notices.draft("vault", "en")
    assert {"transfers", "human_way"} <= {one.value for one in gaps}
    with pytest.raises((InputError, RefusedError)):
        site.publish_notice("vault", language="en", text=draft.encode())
    site.declarations.declare({"transfers": "none", "dpo": "Dana Doe, dpo@example.org"})
    site.declarations.declare_zone("vault", ANSWERS)
    draft, gaps = site.notices.draft("vault", "en")
    assert [one for one in gaps if one.value in {"transfers", "human_way"}] == []
    site.publish_notice("vault", language="en", text=draft.encode())
    assert "Guard Co" in site.notice("vault").text

    # 2. The zone opens once the gates of this law are declared.
    if wanted["gates"]:
        with pytest.raises(RefusedError, match="volens declare zone vault"):
            house.invite("vault", jurisdiction=law)
    for fact in sorted(wanted["gates"]):
        site.declarations.declare_zone("vault", {fact: "2098-12-01"})
    person = house.invite("vault", jurisdiction=law)

    # 3. The receipt states this law, the recipient and the rights, in words that the person signed.
    receipt = person.take_home.receipt
    verified = verify_receipt(receipt, receipt.claims.subject_key)
    processing = json.loads(from_b64url(verified.token.split(".")[1]))["pii_processing"]
    assert wanted["basis"] in processing["lawful_basis"] + processing["law"]
    assert wanted["right"] in processing["privacy_rights"]
    assert [one["name"] for one in processing["recipient_third_parties"]] == ["Guard Co"]
    assert str(wanted["words"]) in signed_words(verified)
    assert signed_words(verified) in site.notice("vault").text, "the notice quotes what is signed"
    assert law == "FR" or "GDPR" not in signed_words(verified)

    # 4. The door knows the person, until the person withdraws.
    house.enroll(person)
    assert house.sees(person, "vault")
    erased = house.withdraw(person)
    assert not house.sees(person, "vault")

    # 5. The certificate proves it with the site's public key alone.
    certificate = erased.certificate_path.read_bytes()
    assert is_for(verify_certificate(certificate, site.verifier_key), verified)

    # 6. Once the period of the evidence is over, nothing names the person any more.
    days = site.jurisdictions.catalogue().profile_of(law).clocks
    house.clock.move(days=max(days.evidence_days, days.log_openings_days, days.requests_days) + 1)
    swept = site.sweep()
    assert sum(swept.outdated.values()) > 0
    assert [name for name in OF_CONSENTS if rows_of(house, name, person.receipt_id)] == []
    assert is_for(verify_certificate(certificate, site.verifier_key), verified), "the person's copy verifies still"
