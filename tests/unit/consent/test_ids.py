"""The forms of identifiers."""

import pytest

from tests.unit.consent import samples
from volens.consent.ids import RECEIPT_ID, SUBJECT_ID

NO_RECEIPT_IDS: dict[str, str] = {
    "empty": "",
    "upper case": "A" * 32,
    "31 characters": "a" * 31,
    "33 characters": "a" * 33,
    "a newline": "a" * 32 + "\n",
    "a digit of another script": "\N{FULLWIDTH DIGIT ONE}" * 32,
}

NO_SUBJECT_IDS: dict[str, str] = {
    "empty": "",
    "42 characters": "a" * 42,
    "44 characters": "a" * 44,
    "padding": "a" * 42 + "=",
    "base64's other alphabet": "a" * 42 + "+",
    "a newline": "a" * 43 + "\n",
}


@pytest.mark.parametrize("case", NO_RECEIPT_IDS)
def test_an_invalid_receipt_id_is_refused(case: str) -> None:
    assert not RECEIPT_ID.fullmatch(NO_RECEIPT_IDS[case])


@pytest.mark.parametrize("case", NO_SUBJECT_IDS)
def test_an_invalid_subject_id_is_refused(case: str) -> None:
    assert not SUBJECT_ID.fullmatch(NO_SUBJECT_IDS[case])


def test_real_ids_have_the_form_of_ids() -> None:
    assert RECEIPT_ID.fullmatch(samples.RECEIPT_ID)
    assert SUBJECT_ID.fullmatch(samples.ANN.public.subject_id)
