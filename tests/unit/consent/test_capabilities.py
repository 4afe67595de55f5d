"""Grants, permits and verified receipts come from the functions that check, and from nowhere else."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace

import pytest

from tests.unit.consent.samples import ANN, DOOR, NOW, RECEIPT_ID, grant, receipt, zone
from volens import consent
from volens.consent import (
    ConsentedEmbedding,
    ConsentGrant,
    ModelId,
    ProbeEmbedding,
    SubjectKey,
    UnitVector,
    VerifiedReceipt,
    WithdrawalCode,
    permit_probe,
)
from volens.consent.errors import ForgedGrantError
from volens.consent.grant import ProbePermit
from volens.consent.receipt import verify_receipt

MODEL = ModelId("sface_2021dec_int8bq@fb143eea")


def vector() -> UnitVector:
    return UnitVector([0.6, 0.8])


def build_grant(mint: object) -> object:
    return ConsentGrant(RECEIPT_ID, ANN.public.subject_id, DOOR, NOW, NOW, bytes(32), mint=mint)


def build_permit(mint: object) -> object:
    return ProbePermit(DOOR, mint=mint)


def build_receipt(mint: object) -> object:
    return VerifiedReceipt(receipt().token, receipt().claims, mint=mint)


BUILDERS: dict[str, tuple[Callable[[object], object], str]] = {
    "ConsentGrant": (build_grant, "only volens.consent.gate.admit() makes a ConsentGrant"),
    "ProbePermit": (build_permit, "only volens.consent.gate.permit_probe() makes a ProbePermit"),
    "VerifiedReceipt": (build_receipt, "only volens.consent.receipt.verify_receipt() makes a VerifiedReceipt"),
}
FALSE_MINTS = {"None": None, "an object": object(), "True": True, "its name": "MINT", "a class": object}

CAPABILITIES: dict[str, Callable[[], object]] = {
    "ConsentGrant": grant,
    "ProbePermit": lambda: permit_probe(zone()),
    "VerifiedReceipt": lambda: verify_receipt(receipt(), ANN.public),
}
SECRETS: dict[str, Callable[[], object]] = {
    "UnitVector": vector,
    "ConsentedEmbedding": lambda: ConsentedEmbedding(grant(), vector(), MODEL),
    "ProbeEmbedding": lambda: ProbeEmbedding(permit_probe(zone()), vector(), MODEL),
    "SubjectKey": lambda: ANN,
    "WithdrawalCode": lambda: WithdrawalCode.generate(bytes),
}
STAYING = CAPABILITIES | SECRETS


@pytest.mark.parametrize("mint", FALSE_MINTS)
@pytest.mark.parametrize("name", BUILDERS)
def test_a_capability_is_not_built_with_a_false_mint(name: str, mint: str) -> None:
    build, words = BUILDERS[name]
    with pytest.raises(ForgedGrantError) as caught:
        build(FALSE_MINTS[mint])
    assert str(caught.value) == words


def test_a_capability_is_not_built_without_the_mint() -> None:
    with pytest.raises(ForgedGrantError, match="admit"):
        ConsentGrant(RECEIPT_ID, ANN.public.subject_id, DOOR, NOW, NOW, bytes(32))
    with pytest.raises(ForgedGrantError, match="permit_probe"):
        ProbePermit(DOOR)
    with pytest.raises(ForgedGrantError, match="verify_receipt"):
        VerifiedReceipt(receipt().token, receipt().claims)


def test_the_mint_is_not_taken_by_position() -> None:
    with pytest.raises(TypeError, match="positional"):
        ProbePermit(DOOR, object())  # type: ignore[misc]


@pytest.mark.parametrize("name", CAPABILITIES)
def test_replace_does_not_change_a(name: str) -> None:
    with pytest.raises(ForgedGrantError, match=name):
        replace(CAPABILITIES[name]())  # type: ignore[type-var]


@pytest.mark.parametrize("copier", [copy.copy, copy.deepcopy])
@pytest.mark.parametrize("name", STAYING)
def test_copying_is_refused_for_a(name: str, copier: Callable[[object], object]) -> None:
    with pytest.raises(TypeError, match=name):
        copier(STAYING[name]())


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", STAYING)
def test_pickling_is_refused_for_a(name: str, protocol: int) -> None:
    with pytest.raises(TypeError, match=name):
        pickle.dumps(STAYING[name](), protocol=protocol)


@pytest.mark.parametrize("name", CAPABILITIES)
def test_fields_are_read_only_in_a(name: str) -> None:
    capability = CAPABILITIES[name]()
    field = "token" if name == "VerifiedReceipt" else "purpose"
    with pytest.raises(FrozenInstanceError):
        setattr(capability, field, "vault")


@pytest.mark.parametrize("name", STAYING)
def test_no_attribute_is_added_to_a(name: str) -> None:
    with pytest.raises((AttributeError, TypeError)):
        STAYING[name]().extra = 1  # type: ignore[attr-defined]


def test_a_forged_grant_is_a_programming_error_and_not_a_refusal() -> None:
    assert issubclass(ForgedGrantError, TypeError)
    assert not issubclass(ForgedGrantError, consent.VolensError)


def test_the_mint_is_not_exported() -> None:
    assert not hasattr(consent, "MINT")


def test_a_key_does_not_show_itself() -> None:
    assert repr(SubjectKey.from_seed(bytes(32))) == str(ANN) == f"{ANN}" == "SubjectKey(...)"
