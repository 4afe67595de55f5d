"""Certificates that carry a later checkpoint, which witnesses have cosigned."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import archive_verifier
import pytest
import verifier
from house import House
from small_witness import SmallWitness

from tests.unit.store.raw import DATA, tamper
from volens.audit.cosignature import WitnessKey, read_cosignature, require_quorum
from volens.consent import InputError, TamperError, VolensError
from volens.erase.proof import Certificate, verify_certificate

WITNESS = SmallWitness()
KEY = WitnessKey.parse(WITNESS.vkey)


def cosigned(house: House) -> int:
    """Let the witness cosign the newest checkpoint, as the collector does; return its size."""
    head = house.site.log.public(timedelta()).head()
    line = WITNESS.cosign(head.note.partition("\n\n")[0] + "\n").encode()
    for one in house.site.log.witnesses.missing(head):
        house.site.log.witnesses.keep(one, head, read_cosignature(line, head.note, KEY))
    return head.size


def file_of(house: House, certificate_id: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(house.site.erasures.certificate(certificate_id))
    return document


def verified(house: House, document: dict[str, Any]) -> Certificate:
    return verify_certificate(json.dumps(document).encode() + b"\n", house.site.verifier_key)


@pytest.fixture
def erased(house: House) -> str:
    """A certificate that was made after one cosigned checkpoint and before another."""
    house.site.log.witnesses.add("w", url="https://witness.example", key=WITNESS.vkey)
    cosigned(house)
    certificate_id = house.withdraw(house.admit()).certificate_id
    assert "witnessed" not in file_of(house, certificate_id), "only an earlier log was cosigned"
    house.admit()
    cosigned(house)
    return certificate_id


def test_a_certificate_carries_the_first_cosigned_checkpoint_after_it(house: House, erased: str) -> None:
    document = file_of(house, erased)
    found = verified(house, document)
    assert found.witnessed is not None
    later = found.witnessed.verify(house.site.verifier_key, found.checkpoint)
    assert later.size > found.checkpoint.size
    assert [one.witness for one in require_quorum(found.witnessed.note, [KEY], 1)] == [KEY]
    # It stays the same, so that its ETag does.
    house.admit()
    cosigned(house)
    assert file_of(house, erased) == document
    # Not one byte of what the site signed is another.
    plain = json.loads((house.site.home / "certificates" / f"{erased}.json").read_text("utf-8"))
    assert plain == {"certificate": document["certificate"]}


def test_a_certificate_of_the_cosigned_checkpoint_itself_has_an_empty_proof(house: House) -> None:
    house.site.log.witnesses.add("w", url="https://witness.example", key=WITNESS.vkey)
    certificate_id = house.withdraw(house.admit()).certificate_id
    size = cosigned(house)
    found = verified(house, file_of(house, certificate_id))
    assert found.witnessed is not None
    assert found.checkpoint.size <= size
    assert (found.witnessed.proof == []) is (found.checkpoint.size == size)


def test_the_independent_verifier_checks_it_too(house: House, erased: str) -> None:
    site = verifier.Site((house.site.home / "site.pub").read_text("utf-8"))
    data = house.site.erasures.certificate(erased)
    assert site.certificate(data)["certificate_id"] == erased
    found = verified(house, json.loads(data)).witnessed
    assert found is not None
    assert archive_verifier.witnessed(site, data) == site.checkpoint(found.note)
    document = json.loads(data)
    document["witnessed"]["consistency"] = document["witnessed"]["consistency"][:-1]
    with pytest.raises((ValueError, IndexError)):
        archive_verifier.witnessed(site, json.dumps(document).encode() + b"\n")


def other_note(document: dict[str, Any]) -> None:
    vectors = Path(__file__).parents[2] / "vectors"
    last = (vectors / "worked_log.jsonl").read_text("utf-8").splitlines()[-1]
    document["witnessed"]["checkpoint"] = json.loads(last)["checkpoint"]


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], object], type[VolensError]]] = {
    "another proof": (lambda one: one["witnessed"]["consistency"].append("A" * 43 + "="), TamperError),
    "no proof": (lambda one: one["witnessed"]["consistency"].clear(), TamperError),
    "another size": (
        lambda one: one["witnessed"].update(checkpoint=one["witnessed"]["checkpoint"].replace("\n", "\n1", 1)),
        TamperError,
    ),
    "another log": (other_note, TamperError),
    "one member more": (lambda one: one["witnessed"].update(more=1), InputError),
    "one member less": (lambda one: one["witnessed"].pop("consistency"), InputError),
    "a list": (lambda one: one.update(witnessed=[]), InputError),
    "not base64": (lambda one: one["witnessed"].update(consistency=["?"]), InputError),
}


@pytest.mark.parametrize(("change", "kind"), CHANGES.values(), ids=CHANGES)
def test_evidence_that_was_changed_is_refused(
    house: House, erased: str, change: Callable[[dict[str, Any]], object], kind: type[VolensError]
) -> None:
    document = file_of(house, erased)
    change(document)
    with pytest.raises(kind):
        verified(house, document)


def test_a_certificate_without_its_evidence_is_valid(house: House, erased: str) -> None:
    document = file_of(house, erased)
    del document["witnessed"]
    assert verified(house, document).witnessed is None


def test_broken_rows_of_the_site_keep_no_one_from_the_certificate(house: House, erased: str) -> None:
    tamper(house.site.home / DATA, "UPDATE witness SET name = 'another'")
    house.reopen()
    assert verified(house, file_of(house, erased)).witnessed is None
