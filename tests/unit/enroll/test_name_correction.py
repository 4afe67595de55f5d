"""A corrected name replaces the one before, everywhere, and appears in the answer to the person."""

import io
import json
import zipfile

import pytest
from house import House

from volens.consent import InputError, NoLiveConsentError
from volens.store.people import name_of, receipts_of


def test_a_corrected_name_replaces_the_old_one_and_the_person_goes_on_matching(house: House) -> None:
    person = house.admit()
    receipt, size = person.take_home.to_json(), house.store.generation()
    house.site.changes.correct_name(person.receipt_id, "  Ada Newname ")

    assert name_of(house.store, person.receipt_id) == "Ada Newname"
    assert receipts_of(house.store, "ada canary example") == []
    assert house.sees(person)
    assert house.store.generation() == size + 1
    with zipfile.ZipFile(io.BytesIO(house.site.answer_access([person.receipt_id]).data)) as answer:
        record = json.loads(answer.read("consent-1/record.jsonld"))
        page = answer.read("index.html").decode()
    assert record["dpv:hasDataSubject"]["dpv:hasName"] == "Ada Newname"
    assert record["volens:held"]["subject_profile"] == [{"corrected_at": "2099-03-01T12:00:00Z"}]
    assert 'Ada Newname, corrected <time datetime="2099-03-01T12:00:00Z">' in " ".join(page.split())
    house.reopen()
    assert house.site.withdraw(receipt=receipt).erased.reason == "withdrawn"


def test_a_correction_is_refused_without_a_name_or_a_consent(house: House) -> None:
    person = house.admit()
    for wrong in ("", " ", "x" * 201, "Ada\nExample"):
        with pytest.raises(InputError, match="got a name"):
            house.site.changes.correct_name(person.receipt_id, wrong)
    house.withdraw(person)
    with pytest.raises(NoLiveConsentError, match="nothing was changed"):
        house.site.changes.correct_name(person.receipt_id, "Ada Newname")
