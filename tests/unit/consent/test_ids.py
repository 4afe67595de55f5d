"""The forms of identifiers."""

import pytest

from tests.unit.consent.samples import ANN, RECEIPT_ID
from volens.consent.ids import is_receipt_id, is_subject_id

NO_RECEIPT_IDS: dict[str, object] = {
    "empty": "",
    "upper case": "A" * 32,
    "31 characters": "a" * 31,
    "33 characters": "a" * 33,
    "a newline": "a" * 32 + "\n",
    "a digit of another script": "\N{FULLWIDTH DIGIT ONE}" * 32,
    "bytes": b"a" * 32,
    "nothing": None,
    "a number": 10**31,
}

NO_SUBJECT_IDS: dict[str, object] = {
    "empty": "",
    "42 characters": "a" * 42,
    "44 characters": "a" * 44,
    "padding": "a" * 42 + "=",
    "base64's other alphabet": "a" * 42 + "+",
    "a newline": "a" * 43 + "\n",
    "bytes": b"a" * 43,
    "nothing": None,
}


@pytest.mark.parametrize("case", NO_RECEIPT_IDS)
def test_no_receipt_id_is(case: str) -> None:
    assert not is_receipt_id(NO_RECEIPT_IDS[case])


@pytest.mark.parametrize("case", NO_SUBJECT_IDS)
def test_no_subject_id_is(case: str) -> None:
    assert not is_subject_id(NO_SUBJECT_IDS[case])


def test_real_ids_have_the_form_of_ids() -> None:
    assert is_receipt_id(RECEIPT_ID)
    assert is_subject_id(ANN.public.subject_id)
