"""The withdrawal code: easy to read out, impossible to guess, never repeated."""

from collections.abc import Callable
from hashlib import sha256

import pytest

from volens.consent import EndReason, InputError, WithdrawalCode
from volens.consent.relying_party import RelyingParty
from volens.consent.withdrawal import QR_PREFIX, is_code_text

CANONICAL = "000G40R40M30E209185GR38E1W"  # the first 130 bits of 00 01 02 .. 10


def counting(size: int) -> bytes:
    return bytes(range(size))


def code() -> WithdrawalCode:
    return WithdrawalCode.generate(counting)


def crockford(data: bytes) -> str:
    """Encode the first 130 bits, the slow way: as text of bits."""
    bits = "".join(f"{byte:08b}" for byte in data)[:130]
    return "".join("0123456789ABCDEFGHJKMNPQRSTVWXYZ"[int(bits[i : i + 5], 2)] for i in range(0, 130, 5))


TYPED: dict[str, Callable[[str], str]] = {
    "as it was printed": lambda text: text,
    "in small letters": str.lower,
    "without hyphens": lambda text: text.replace("-", ""),
    "with spaces for hyphens": lambda text: text.replace("-", " "),
    "with spaces around": lambda text: f"  {text}\r\n",
    "over two lines": lambda text: text.replace("-", "\n", 1),
    "in groups of one": lambda text: "-".join(text.replace("-", "")),
    "with O for 0": lambda text: text.replace("0", "O"),
    "with o for 0": lambda text: text.replace("0", "o"),
    "with I for 1": lambda text: text.replace("1", "I"),
    "with l for 1": lambda text: text.replace("1", "l"),
    "with digits and letters of full width": lambda text: "".join(
        chr(ord(one) + 0xFEE0) if one.isalnum() else one for one in text
    ),
    "with Arabic digits": lambda text: "".join(chr(ord(one) + 0x630) if one.isdigit() else one for one in text),
    "with other hyphens": lambda text: text.replace("-", "\N{EN DASH}"),
    "with other blanks": lambda text: text.replace("-", "\N{NO-BREAK SPACE}\N{ZERO WIDTH SPACE}"),
    "from the QR": lambda text: QR_PREFIX + text.replace("-", ""),
    "from the QR in small letters": lambda text: (QR_PREFIX + text).lower(),
    "as the address of a page": lambda text: f"https://door.example/me#{text}",
    "as an address in capitals": lambda text: f"HTTPS://DOOR.EXAMPLE/ME#{text}",
    "as an address with a language": lambda text: f" http://localhost:8000/me/?lang=de#{text.lower()}\n",
}

NO_CODES = {
    "empty": "",
    "only hyphens": "-----",
    "a character short": CANONICAL[:-1],
    "a character long": CANONICAL + "0",
    "the letter U": CANONICAL[:-1] + "U",
    "an accent": CANONICAL[:-1] + "\N{LATIN CAPITAL LETTER E WITH ACUTE}",
    "a letter of another script": CANONICAL[:-1] + "\N{CYRILLIC CAPITAL LETTER A}",
    "a superscript digit": CANONICAL[:-1] + "\N{SUPERSCRIPT TWO}",
    "a lone surrogate": CANONICAL[:-1] + "\ud800",
    "a NUL inside": CANONICAL[:5] + "\0" + CANONICAL[5:],
    "a receipt": "eyJhbGciOiJFZDI1NTE5In0.e30.AAAA",
    "another QR": "https://a.example/" + CANONICAL,
    "an address with the code in the path": "https://a.example/me/" + CANONICAL,
    "the address of another page": "https://a.example/them#" + CANONICAL,
    "an address without a code": "https://a.example/me#",
    "an address of another kind": "javascript:/me#" + CANONICAL,
    "the QR's prefix twice": QR_PREFIX + QR_PREFIX + CANONICAL,
}


def test_a_code_is_130_of_the_random_bits_in_crockford_base_32() -> None:
    assert code().reveal().replace("-", "") == crockford(counting(17)) == CANONICAL
    assert WithdrawalCode.generate(bytes).reveal() == "00000-00000-00000-00000-00000-0"
    assert WithdrawalCode.generate(lambda n: b"\xff" * n).reveal() == "ZZZZZ-ZZZZZ-ZZZZZ-ZZZZZ-ZZZZZ-Z"


def test_a_code_asks_for_17_random_bytes_and_uses_the_first_130_bits() -> None:
    asked = []

    def random(size: int) -> bytes:
        asked.append(size)
        return b"\0" * 16 + b"\x3f"

    assert WithdrawalCode.generate(random).reveal() == WithdrawalCode.generate(bytes).reveal()
    assert asked == [17]
    assert WithdrawalCode.generate(lambda _: b"\0" * 16 + b"\x40").digest() != WithdrawalCode.generate(bytes).digest()


@pytest.mark.parametrize("case", TYPED)
def test_a_code_is_understood(case: str) -> None:
    again = WithdrawalCode.parse(TYPED[case](code().reveal()))
    assert again.reveal() == code().reveal()
    assert again.matches(code().digest())


@pytest.mark.parametrize("case", NO_CODES)
def test_an_invalid_code_is_refused(case: str) -> None:
    with pytest.raises(InputError, match=r"got a withdrawal code of \d+ characters; expected 26") as caught:
        WithdrawalCode.parse(NO_CODES[case])
    message = str(caught.value)
    assert CANONICAL[:5] not in message
    assert "eyJ" not in message


def test_the_digest_is_a_hash_under_its_own_name() -> None:
    text = code().reveal().replace("-", "")
    assert code().digest() == sha256(b"volens withdrawal code v1\0" + text.encode()).digest()
    assert len(code().digest()) == 32


def test_a_code_matches_its_own_digest_only() -> None:
    digest = code().digest()
    assert code().matches(digest)
    assert not WithdrawalCode.generate(bytes).matches(digest)
    assert not code().matches(digest[:-1] + bytes([digest[-1] ^ 1]))
    assert not code().matches(digest[:-1])
    assert not code().matches(b"")


def test_the_qr_says_the_code_in_characters_that_make_a_small_qr() -> None:
    text = code().qr_text()
    assert text == "VOLENS-WITHDRAW:" + code().reveal().replace("-", "")
    assert set(text) <= set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"), "QR's alphanumeric mode"
    assert WithdrawalCode.parse(text).matches(code().digest())


def test_a_code_shows_itself_only_when_asked() -> None:
    assert repr(code()) == str(code()) == f"{code()}" == "WithdrawalCode(...)"


def test_the_reasons_of_an_end_are_the_person_a_clock_an_order_or_a_loss() -> None:
    assert [reason.value for reason in EndReason] == [
        "withdrawn",
        "expired",
        "retention",
        "inactive",
        "left",
        "superseded",
        "renewed",
        "ordered",
        "lost",
        "requested",
        "zone_removed",
    ]


def test_the_qr_of_a_site_with_pages_is_an_address_with_the_code_in_the_fragment() -> None:
    site = RelyingParty.parse("https://door.example")
    text = code().qr_text(site)
    assert text == f"https://door.example/me#{CANONICAL}"
    assert WithdrawalCode.parse(text).matches(code().digest())


@pytest.mark.parametrize("text", [code().qr_text(), code().address(RelyingParty("http://localhost:8000"))])
def test_the_text_of_a_code_is_told_from_other_qr_codes(text: str) -> None:
    assert is_code_text(text)
    assert not is_code_text("https://door.example/menu")
    assert not is_code_text("https://door.example/menu#" + CANONICAL)
    assert not is_code_text(CANONICAL)
