"""What the person takes home can be read again, also years later, also as a bare receipt."""

import json
from typing import Any

import pytest

from tests.unit.consent.samples import NOTICE_TEXT, notice, receipt
from volens.consent import TakeHome, UnverifiedReceipt, WithdrawalCode
from volens.consent.errors import ReceiptError
from volens.consent.notice import MAX_NOTICE_BYTES
from volens.consent.relying_party import RelyingParty
from volens.consent.take_home import FORMAT, MAX_FILE_BYTES

CODE = WithdrawalCode.generate(lambda size: bytes(range(size)))


def take_home() -> TakeHome:
    return TakeHome(receipt(), CODE, notice().text)


def content() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(take_home().to_json())
    return parsed


def written(**changes: object) -> bytes:
    return json.dumps(content() | changes).encode()


def lacking(name: str) -> bytes:
    return json.dumps({key: value for key, value in content().items() if key != name}).encode()


def test_a_take_home_file_survives_writing_and_reading() -> None:
    again = TakeHome.parse(take_home().to_json())
    assert again.receipt == receipt()
    assert again.code is not None
    assert again.code.matches(CODE.digest())
    assert again.notice_text == NOTICE_TEXT.decode()
    assert again.to_json() == take_home().to_json()


def test_a_take_home_file_is_json_that_a_person_can_read() -> None:
    text = take_home().to_json().decode("utf-8")
    assert text.startswith('{\n  "format": "volens-take-home/1"')
    assert text.endswith("}\n")
    assert CODE.reveal() in text
    assert "not the photo" in text
    assert "\N{EM DASH}" in text, "the notice is written as it is, without escapes"


@pytest.mark.parametrize("ends", [b"", b"\n", b"\r\n"])
def test_a_bare_receipt_is_read_without_code_and_notice(ends: bytes) -> None:
    bare = TakeHome.parse(receipt().token.encode() + ends)
    assert (bare.receipt, bare.code, bare.notice_text) == (receipt(), None, None)


def test_a_file_without_a_code_is_read_and_written_without_one() -> None:
    bare = TakeHome.parse(lacking("withdrawal_code"))
    assert bare.code is None
    assert b"withdrawal_code" not in bare.to_json()


def test_a_file_without_a_notice_is_read_and_written_without_one() -> None:
    bare = TakeHome.parse(lacking("notice"))
    assert bare.notice_text is None
    assert b'"notice"' not in bare.to_json()


def test_a_file_with_white_space_before_it_is_read() -> None:
    assert TakeHome.parse(b"\n  " + take_home().to_json()).receipt == receipt()


@pytest.mark.parametrize("kept", [1, 2, 10, 100, -2, -20])
def test_a_file_that_is_cut_off_is_refused(kept: int) -> None:
    with pytest.raises(ReceiptError, match="cut off or not JSON; use the file as it was written") as caught:
        TakeHome.parse(take_home().to_json()[:kept])
    assert caught.value.__suppress_context__


REFUSED: dict[str, tuple[bytes, str]] = {
    "an empty file": (b"", "not a Volens receipt"),
    "a photo": (b"\x89PNG\r\n\x1a\n", "not ASCII"),
    "another format": (written(format="volens-take-home/2"), f"expected format {FORMAT!r} with a receipt"),
    "no format": (lacking("format"), "got a JSON file of another kind"),
    "no receipt": (lacking("receipt"), "got a JSON file of another kind"),
    "a receipt that is an object": (written(receipt={}), "got a JSON file of another kind"),
    "a receipt that is not ASCII": (written(receipt="\N{EM DASH}"), "got a JSON file of another kind"),
    "a receipt that is malformed": (written(receipt="a.b.c"), "not a Volens receipt"),
    "a code that is too short": (written(withdrawal_code="0123"), "got a withdrawal code of 4 characters"),
    "an empty object": (b"{}", "got a JSON file of another kind"),
    "JSON that nests too deeply": (b'{"a":' * 50_000, "cut off or not JSON"),
    "JSON in Latin-1": (b'{"a":"\xe9"}', "cut off or not JSON"),
    "a JSON array": (b"[]", "not a Volens receipt"),
    "a file that is too large": (b"{" + b" " * MAX_FILE_BYTES, f"expected at most {MAX_FILE_BYTES}"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_is_refused_that_is_or_has(case: str) -> None:
    data, words = REFUSED[case]
    with pytest.raises(ReceiptError) as caught:
        TakeHome.parse(data)
    assert words in str(caught.value)


def test_the_largest_notice_of_quotation_marks_fits_into_the_file() -> None:
    largest = TakeHome(receipt(), CODE, notice(text=b'"' * (MAX_NOTICE_BYTES - 2048)).text)
    assert TakeHome.parse(largest.to_json()).notice_text == largest.notice_text


def test_a_take_home_does_not_show_its_code() -> None:
    assert CODE.reveal() not in repr(take_home())
    assert "WithdrawalCode" not in repr(take_home())


def test_the_receipt_in_the_file_is_still_unverified() -> None:
    assert type(TakeHome.parse(take_home().to_json()).receipt) is UnverifiedReceipt


def test_a_take_home_of_a_site_with_pages_says_where_the_page_is() -> None:
    site = RelyingParty("https://door.example")
    whole = TakeHome(receipt(), CODE, notice().text, site=site)
    again = TakeHome.parse(whole.to_json())
    assert json.loads(whole.to_json())["my_data"] == whole.qr_text() == CODE.address(site)
    assert (again.site, again.qr_text()) == (site, whole.qr_text())


@pytest.mark.parametrize("wrong", ["", "https://door.example/", "ftp://door.example/me#x", 7, None, {"a": "/me#"}])
def test_a_wrong_address_in_a_take_home_file_keeps_nobody_from_leaving(wrong: object) -> None:
    read = TakeHome.parse(written(my_data=wrong))
    assert read.site is None
    assert read.qr_text() == CODE.qr_text()
