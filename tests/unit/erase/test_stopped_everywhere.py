"""Stopped everywhere: what certificate, answer and page say of doors that held a lease when a consent ended."""

import base64
import json
from typing import Any, Final

import pytest
from house import House, Person

from volens.consent import format_time
from volens.erase.pages import PageLanguage
from volens.erase.proof import verify_certificate
from volens.service.certificate_page import certificate_page
from volens.store.programs import Role

WORDS: Final[dict[PageLanguage, str]] = {
    "en": "had not answered",
    "fr": "pas répondu quand ceci a été signé",
    "de": "keine Antwort, als dies unterschrieben",
}


def statement_of(data: bytes) -> dict[str, Any]:
    payload = json.loads(data)["certificate"].split(".")[1]
    statement: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["statement"]
    return statement


def test_a_certificate_states_what_was_known_of_doors_with_leases(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("volens.erase.followers.CONFIRM_S", 0.0)
    first, second, third = house.admit(), house.admit(), house.admit()
    house.site.zones.set_lease("lobby", 60)
    leases, doors = house.site.programs.leases, []
    for label in ("left", "right"):
        credential, _token = house.site.programs.credentials.issue(label=label, role=Role.DOOR, zone="lobby")
        doors.append(credential.credential_id)

    def withdrawn(person: Person) -> dict[str, Any]:
        done = house.site.withdraw(code=person.code)
        statement = statement_of(done.erased.certificate_path.read_bytes())
        assert statement["stopped_everywhere_at"] == format_time(done.stopped_everywhere_at)
        assert [one.to_json() for one in done.holders] == statement["lease_holders"]
        return statement

    assert withdrawn(first)["stopped_everywhere_at"] == format_time(house.clock()), "no door holds a lease"
    given = [leases.reserve(door, lease_id=f"{number:032x}")[0] for number, door in enumerate(doors)]
    house.clock.move(seconds=10)
    leases.acknowledge(doors[0], given[0].lease_id, holds=False)
    statement = withdrawn(second)
    until = format_time(given[1].ends_at)
    assert statement["stopped_everywhere_at"] == until
    assert [(one["door"], one["acknowledged_at"], one["ends_at"]) for one in statement["lease_holders"]] == [
        ("left", format_time(house.clock()), format_time(given[0].ends_at)),
        ("right", None, until),
    ]
    # The right door comes back, and the next certificate says so; the one that was signed stays as it is.
    leases.acknowledge(doors[1], given[1].lease_id, holds=False)
    house.clock.move(seconds=1)
    assert withdrawn(third)["lease_holders"] == []
    again = house.site.withdraw(code=second.code)
    assert format_time(again.stopped_everywhere_at) == until
    for language, words in WORDS.items():
        key = house.site.verifier_key
        page = certificate_page(verify_certificate(again.erased.certificate_path.read_bytes(), key), key, language)
        assert words in page
        assert "right" in page
