"""The person's half of a key: every way that people write it is read back, and other text is refused."""

import copy
import pickle
from hashlib import sha256

import pytest

from volens.consent import InputError, PersonSecret, ReceiptId

VALUE = bytes(range(1, 33))
RECEIPT, OTHER = ReceiptId("a" * 32), ReceiptId("b" * 32)
TEXT = PersonSecret(VALUE).reveal()


@pytest.mark.parametrize(
    "written",
    [TEXT, TEXT + "\n", TEXT.lower(), TEXT.removeprefix("VOLENS-SECRET:"), f"  {TEXT[:20]}-{TEXT[20:]} \r\n"],
)
def test_a_secret_is_read_back_as_people_write_it(written: str) -> None:
    assert bytes(PersonSecret.parse(written).buffer) == VALUE


@pytest.mark.parametrize("at", range(14, len(TEXT)))
def test_a_misread_letter_is_noticed_wherever_it_is(at: int) -> None:
    for letter in "A7":
        misread = TEXT[:at] + letter + TEXT[at + 1 :]
        if misread != TEXT:
            with pytest.raises(InputError, match="a secret of 56 characters that is cut off or misread"):
                PersonSecret.parse(misread)


@pytest.mark.parametrize("text", ["", "VOLENS-SECRET:", TEXT[:-1], TEXT + "A", TEXT + TEXT, "é" * 56, "1" * 56])
def test_text_that_is_not_a_secret_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InputError, match="expected 56 letters and digits") as caught:
        PersonSecret.parse(text)
    assert not text or text not in str(caught.value)


def test_a_commitment_is_of_one_secret_and_one_receipt() -> None:
    secret = PersonSecret(VALUE)
    commitment = secret.commitment(RECEIPT)

    assert len(commitment) == 32
    assert secret.matches(commitment, RECEIPT)
    assert not secret.matches(commitment, OTHER)
    assert not PersonSecret(bytes(32)).matches(commitment, RECEIPT)
    assert commitment not in (VALUE, sha256(VALUE).digest())


def test_a_secret_is_not_shown_pickled_or_left_behind() -> None:
    with PersonSecret.generate(lambda count: VALUE[:count]) as secret:
        assert repr(secret) == "PersonSecret(...)"
        for leak in (pickle.dumps, copy.copy):
            with pytest.raises(TypeError, match="a PersonSecret is not pickled"):
                leak(secret)
    assert bytes(secret.buffer) == bytes(32)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_secret_has_32_bytes(length: int) -> None:
    with pytest.raises(ValueError, match=f"got a secret of {length} bytes; expected 32"):
        PersonSecret(bytes(length))
