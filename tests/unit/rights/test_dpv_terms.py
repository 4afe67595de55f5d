"""Every term of the Data Privacy Vocabulary that is published was found in it: compared with a list of its files."""

import io
import json
import re
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

from house import House

import volens.rights
from volens.consent import EndReason
from volens.consent.law import Right
from volens.rights import answer_access
from volens.rights.dpv_terms import DPV_CONTEXT, status_term

LIST = tomllib.loads(Path(__file__).with_name("dpv_terms.toml").read_text(encoding="utf-8"))
KNOWN = {term for terms in LIST["files"].values() for term in terms}
TERM = re.compile(r"\b(?:dpv|eu-gdpr|pd):[A-Za-z][A-Za-z0-9-]*")
ROOMS = ("consent", "erase", "rights", "service", "store")
SOURCES = {".py", ".toml", ".html", ".js"}


def in_sources() -> Iterator[str]:
    root = Path(volens.rights.__file__).parent.parent
    for room in ROOMS:
        for path in (root / room).rglob("*"):
            if path.suffix in SOURCES:
                yield from TERM.findall(path.read_text(encoding="utf-8"))


def test_every_term_in_the_program_and_its_profiles_is_in_the_vocabulary() -> None:
    used = set(in_sources())
    assert used - KNOWN == set()
    assert KNOWN - used == set()  # so that the list is of what we use


def test_every_term_of_the_generated_documents_is_in_the_vocabulary(house: House) -> None:
    house.declare("phones", custody="subject_key")
    house.site.declarations.declare({"dpo": "Dana Doe", "address": "1 Main Street", "representative": "Erin"})
    with zipfile.ZipFile(io.BytesIO(answer_access(house.store, [house.admit().receipt_id]).data)) as answer:
        record = answer.read("consent-1/record.jsonld").decode()
    for document in (record, house.site.clocks.signed_policy().decode()):
        found = set(TERM.findall(document))
        assert found - KNOWN == set()
        assert len(found) > len(Right)
        context = json.loads(document)["@context"]
        assert LIST["namespaces"].items() <= context.items()


def test_the_namespaces_are_those_of_the_vocabulary_and_every_end_has_a_status() -> None:
    assert LIST["namespaces"].items() <= DPV_CONTEXT.items()
    assert {status_term(one) for one in (None, *EndReason)} <= KNOWN
