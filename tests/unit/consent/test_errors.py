"""Error messages: the class says who must act, and no message or traceback has a secret."""

import traceback
from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from signing import sign_receipt

from tests.unit.consent.samples import ANN, BOB, RECEIPT_ID, document, notice, receipt, token, zone
from volens.consent import (
    SiteId,
    SubjectKey,
    TakeHome,
    UnitVector,
    UnverifiedReceipt,
    VerifiedReceipt,
    VolensError,
    WithdrawalCode,
)
from volens.consent import errors as errors_module
from volens.consent.receipt import Controller, verify_receipt

# name, key and code as a careless message would show them
SURNAME = "Zyxwvutsrq"
CODE = "7K3DZ-9QW2M-XXH4P-0V6RT-5JNB8-C"
P256 = ec.derive_private_key(0xC0FFEE, ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def named_receipt() -> UnverifiedReceipt:
    controller = Controller(SiteId("site-5c1e"), SURNAME, f"{SURNAME}@a.example")
    return sign_receipt(
        zone(), notice(), controller, receipt_id=RECEIPT_ID, jurisdiction="FR", key=ANN, now=notice().published_at
    )


def parse_broken() -> object:
    return UnverifiedReceipt.parse(token(document(named_receipt().token) | {"event": {"who": SURNAME}}).encode())


def parse_named_header() -> object:
    return UnverifiedReceipt.parse(token({"name": SURNAME}, header=b'{"alg":"none","kid":"Zyxwvutsrq"}').encode())


CARELESS: dict[str, tuple[Callable[[], object], list[str]]] = {
    "a code that is too long": (lambda: WithdrawalCode.parse(CODE + "Q"), [CODE, CODE.replace("-", ""), CODE[:5]]),
    "a code with a wrong letter": (lambda: WithdrawalCode.parse(CODE[:-1] + "U"), [CODE[:5], CODE[6:11]]),
    "a name typed as a code": (lambda: WithdrawalCode.parse(SURNAME), [SURNAME, SURNAME.upper()]),
    "a file with a wrong code": (
        lambda: TakeHome.parse(replace(TakeHome(receipt()), code=WithdrawalCode(CODE + "Q")).to_json()),
        [CODE[:5], CODE[6:11]],
    ),
    "a private key cut off": (lambda: SubjectKey.from_pem(ANN.to_pem()[:80]), [ANN.to_pem()[30:60].decode()]),
    "a private key of another kind": (lambda: SubjectKey.from_pem(P256), [P256.splitlines()[1].decode()[:20]]),
    "a name in a receipt that lacks a field": (parse_broken, [SURNAME]),
    "a name in a header": (parse_named_header, [SURNAME]),
    "a name in a file of another kind": (
        lambda: TakeHome.parse(b'{"format":"Zyxwvutsrq","receipt":"Zyxwvutsrq"}'),
        [SURNAME],
    ),
    "a name in a file that is cut off": (lambda: TakeHome.parse(b'{"name":"Zyxwvutsrq'), [SURNAME]),
    "another person's key": (
        lambda: verify_receipt(named_receipt(), BOB.public),
        [SURNAME, BOB.public.subject_id, ANN.public.subject_id, BOB.public_key.hex()],
    ),
    "a forged receipt": (lambda: VerifiedReceipt(receipt().token, receipt().claims), [receipt().token]),
    "a vector of another norm": (lambda: UnitVector([0.123456, 4.5678]), ["0.1234", "4.5678,"]),
}


@pytest.mark.parametrize("case", CARELESS)
def test_neither_message_nor_traceback_shows_the_secret_in(case: str) -> None:
    act, secrets = CARELESS[case]
    with pytest.raises((VolensError, TypeError, ValueError)) as caught:
        act()
    # Without the source lines, because those of this file contain the secret.
    shown = [str(error) for error in chain(caught.value)]
    for secret in secrets:
        assert not any(secret in text for text in shown)


def chain(error: BaseException) -> list[BaseException]:
    """Return the error and those that a traceback would print before it."""
    printed = traceback.TracebackException.from_exception(error)
    found = [error]
    while (printed.__cause__ or (printed.__context__ and not printed.__suppress_context__)) and (
        before := found[-1].__cause__ or found[-1].__context__
    ):
        found.append(before)
        printed = traceback.TracebackException.from_exception(before)
    return found


ROOTS = {
    "ReceiptError": "InputError",
    "ReceiptSignatureError": "TamperError",
    "ForeignReceiptError": "RefusedError",
    "NoLiveConsentError": "RefusedError",
    "ConsentExpiredError": "NoLiveConsentError",
    "ConsentRestrictedError": "NoLiveConsentError",
    "DamagedDataError": "TamperError",
    "ForgedGrantError": "TypeError",
    "InputError": "VolensError",
    "RefusedError": "VolensError",
    "EnrollmentError": "VolensError",
    "TamperError": "VolensError",
    "ErasureIncompleteError": "VolensError",
    "UnavailableError": "VolensError",
    "UnknownError": "InputError",
    "VolensError": "Exception",
    "WrongKeyError": "TamperError",
    "ZonePausedError": "UnavailableError",
}


def test_every_error_has_its_root_and_a_sentence() -> None:
    defined = {name: value for name, value in vars(errors_module).items() if isinstance(value, type)}
    defined.pop("Reason")  # the codes, which are no error
    assert {name: value.__base__.__name__ for name, value in defined.items()} == ROOTS
    for name, value in defined.items():
        assert name.endswith("Error")
        assert value.__doc__
        assert value.__doc__.rstrip().endswith(".")
