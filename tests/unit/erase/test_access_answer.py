"""The answer to an access request: all that is held, or that nothing is, and neither can be changed unseen."""

import io
import json
import zipfile
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from declared_gates import open_gates
from house import House, Person

from volens.audit import VerifierKey
from volens.consent import InputError, TamperError
from volens.rights import SIGNED_FILE, answer_access, answer_unknown, is_about, verify_answer
from volens.service.sample_notice import publish_sample_notice
from volens.store.schema import PERSONAL


def answered(house: House, *people: Person, **options: bool) -> bytes:
    return answer_access(house.store, [person.receipt_id for person in people], **options).data


def unpacked(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def record(data: bytes, number: int = 1) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(unpacked(data)[f"consent-{number}/record.jsonld"])
    return found


class Page(HTMLParser):
    """What a browser would make of a page: its text, and the tags in it."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.text, self.tags = "", set[str]()
        self.feed(page.decode("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not any(name in ("src", "href", "onload") for name, _ in attrs)
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_everything_held_is_in_the_answer(house: House) -> None:
    person = house.admit()
    data = answered(house, person)

    files, held = unpacked(data), record(data)
    assert files["consent-1/receipt.jws"].decode() == person.take_home.receipt.token
    assert files["consent-1/notice.txt"] == house.site.notice("lobby").text.encode()
    assert held["dpv:hasDataSubject"] == {"dct:identifier": person.subject_id, "dpv:hasName": "Ada Canary Example"}
    assert held["dpv:hasConsentStatus"] == "dpv:ConsentGiven"
    assert held["volens:agreed"]["pii_processing"]["purpose"] == "lobby"
    assert [clock["reason"] for clock in held["volens:clocks"]][:2] == ["expired", "retention"]
    assert held["volens:zone"]["alternative"] == "a badge at the desk"
    assert len(held["volens:held"]["biometric_reference"]) == 1
    embedding = json.loads(files["consent-1/embedding-1.json"])
    assert np.allclose(embedding["values"], person.face, atol=1e-7)
    assert verify_answer(data, house.site.verifier_key)["holds_anything"] is True


def test_every_personal_table_is_a_section_of_the_answer(house: House) -> None:
    held = record(answered(house, house.admit()))["volens:held"]

    assert set(held) == {"live_consent", "access_request", *(one.table.name for one in PERSONAL)}


def test_the_embedding_is_left_out_on_request(house: House) -> None:
    data = answered(house, house.admit(), with_embedding=False)

    assert not [name for name in unpacked(data) if "embedding" in name]
    assert record(data)["volens:embeddings"] == "held, and left out of this answer on request"


def test_several_consents_are_answered_together(house: House) -> None:
    house.site.add_zone("lab", custody="operator", justification="a", alternative="b", retention_days=9)
    open_gates(house.site, "lab")
    publish_sample_notice(house.site, "lab", more="x")
    data = answered(house, house.admit(), house.admit("lab"))

    assert [record(data, number)["volens:zone"]["name"] for number in (1, 2)] == ["lobby", "lab"]


def test_after_a_withdrawal_nothing_is_held_and_the_answer_proves_it(house: House) -> None:
    person = house.admit()
    erased = house.withdraw(person)
    data = answered(house, person)

    statement = verify_answer(data, house.site.verifier_key)
    assert statement["holds_anything"] is False
    (searched,) = statement["searched"]
    assert set(searched["rows"].values()) == {0}
    assert (searched["ended"], searched["certificate_id"]) == ("withdrawn", erased.certificate_id)
    assert "Nothing is held about you." in Page(unpacked(data)["index.html"]).text
    assert b"Ada Canary Example" not in b"".join(unpacked(data).values())
    assert not [name for name in unpacked(data) if "embedding" in name]


def test_an_answer_about_nobody_is_not_signed(house: House) -> None:
    with pytest.raises(InputError, match="got no consent to answer about"):
        answered(house)
    for text in ("", " ", "\N{ZERO WIDTH SPACE}", "Eve\x1b"):
        with pytest.raises(InputError, match="got a name or id"):
            answer_unknown(house.store, text)
    assert "access.answered" not in house.site.log.verify().kinds


def test_the_page_shows_what_is_held_and_runs_nothing(house: House) -> None:
    person = house.enroll(house.invite(name="<script>Ada</script>"))
    page = Page(unpacked(answered(house, person))["index.html"])

    assert "<script>Ada</script>" in page.text
    assert "script" not in page.tags
    assert "lobby" in page.text
    assert "a badge at the desk" in page.text


def test_an_answer_is_in_the_audit_log_without_naming_the_person(house: House) -> None:
    person = house.admit()
    answered(house, person)

    assert house.site.log.verify().kinds["access.answered"] == 1
    with house.store.read() as connection:
        opened = connection.exec_driver_sql("SELECT receipt_id, details FROM audit_opening ORDER BY seq DESC").first()
    assert opened is not None
    assert opened[0] is None
    assert person.receipt_id not in opened[1]


@pytest.mark.parametrize("name", ["consent-1/record.jsonld", "consent-1/embedding-1.json", "index.html"])
def test_a_changed_missing_or_added_file_is_found(house: House, name: str) -> None:
    files = unpacked(answered(house, house.admit()))
    key = house.site.verifier_key
    changed = files | {name: files[name][:-1] + b" "}
    missing = {one: data for one, data in files.items() if one != name}
    for wrong in (changed, missing, files | {"more.txt": b"x"}):
        with pytest.raises(TamperError, match="integrity: the files are not the ones that the site signed"):
            verify_answer(packed(wrong), key)
    verify_answer(packed(files), key)


def test_every_character_of_the_signed_list_counts(house: House) -> None:
    files = unpacked(answered(house, house.admit()))
    token = files[SIGNED_FILE]
    for at in range(0, len(token), 7):
        other = bytes([token[at] ^ 1])
        with pytest.raises((TamperError, InputError)):
            verify_answer(packed(files | {SIGNED_FILE: token[:at] + other + token[at + 1 :]}), house.site.verifier_key)


def test_another_sites_key_does_not_verify(house: House) -> None:
    data = answered(house, house.admit())
    other = VerifierKey(house.site.verifier_key.name, bytes([house.site.verifier_key.public_key[0] ^ 1]) * 32)
    with pytest.raises((TamperError, InputError)):
        verify_answer(data, other)


@pytest.mark.parametrize(
    "data", [b"", b"PK\x03\x04", b"x" * 100, packed({"a": b"b"})], ids=["nothing", "zip", "x", "other"]
)
def test_bytes_that_are_not_an_answer_are_refused(house: House, data: bytes) -> None:
    with pytest.raises(InputError, match="this is not an access answer; use one as 'volens export' writes it"):
        verify_answer(data, house.site.verifier_key)


def test_a_zip_bomb_is_refused(house: House) -> None:
    with pytest.raises(InputError, match="not an access answer"):
        verify_answer(packed({"a": bytes(65 * 1024 * 1024)}), house.site.verifier_key)


def test_an_answer_that_nothing_is_held_says_what_was_searched_for_and_what_not(house: House) -> None:
    house.admit()
    data = answer_unknown(house.store, " Eve  Example\n").data
    statement = verify_answer(data, house.site.verifier_key)

    assert (statement["holds_anything"], statement["searched"], statement["consents_asked_for"]) == (False, [], 0)
    assert statement["searched_for"] == [
        {
            "text": "Eve  Example",
            "compared_with": [
                "receipt id",
                "subject id",
                "name of a consent in force",
                "external id of a consent in force",
                "name, external id or link of an open invitation",
            ],
        }
    ]
    assert statement["searched_among"] == {"receipts": 1, "names": 1}
    assert statement["not_searched"].startswith("other spellings")
    page = " ".join(Page(unpacked(data)["index.html"]).text.split())
    assert "“Eve Example”, compared with: receipt id, your id (subject id), name of a consent in force" in page
    assert "Not searched: other spellings" in page
    assert "Nothing is held about you under what is named below." in page
    assert is_about(statement, "eve example")
    assert not is_about(statement, "Ada Example")


def test_an_answer_names_the_receipts_that_it_is_about(house: House) -> None:
    person, other = house.admit(), house.admit()
    statement = verify_answer(answered(house, person), house.site.verifier_key)

    assert statement["searched_for"] == [{"text": person.receipt_id, "compared_with": ["receipt id"]}]
    assert is_about(statement, person.take_home.receipt)
    assert is_about(statement, person.receipt_id)
    assert not is_about(statement, other.take_home.receipt)
    by_name = answer_access(house.store, [person.receipt_id], searched_for="Ada Canary Example").data
    assert is_about(verify_answer(by_name, house.site.verifier_key), person.take_home.receipt)


def test_basis_rights_and_contacts_are_those_of_the_persons_law(house: House) -> None:
    house.site.declarations.declare({"dpo": "Dana Doe", "transfers": "none"})
    person = house.admit(jurisdiction="US-IL")
    held = record(answered(house, person))

    assert held["dpv:hasLegalBasis"] == ["dpv:ExplicitlyExpressedConsent"]
    assert (held["dpv:hasPurpose"], held["dpv:hasRight"]) == (["dpv:EnforceAccessControl"], [])
    assert held["volens:law"]["law"].startswith("Illinois Biometric Information Privacy Act")
    assert held["volens:rights"][-1].startswith("complain to this authority: the Illinois Attorney General")
    files = unpacked(answered(house, person))
    page = Page(files["index.html"]).text
    assert "740 ILCS 14" in page
    assert "Dana Doe" in page
    assert "GDPR" not in page
    assert "pause the use of your face" not in page


@pytest.mark.parametrize(("end", "status"), [("withdraw", "dpv:ConsentWithdrawn"), ("expire", "dpv:ConsentExpired")])
def test_a_consent_that_ran_out_is_not_said_to_be_withdrawn(house: House, end: str, status: str) -> None:
    person = house.admit()
    if end == "withdraw":
        house.withdraw(person)
    else:
        house.clock.move(days=91)
        house.site.sweep()
    assert record(answered(house, person))["dpv:hasConsentStatus"] == status
