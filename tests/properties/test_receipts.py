"""Serialisation of every receipt: its bytes are read back as the same receipt, and no other bytes are."""

from datetime import UTC, datetime, timedelta

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st
from signing import sign_receipt

from tests.unit.consent.samples import ANN, document, notice, receipt, token, zone
from volens.consent import (
    ReceiptId,
    SiteId,
    SubjectKey,
    TakeHome,
    UnverifiedReceipt,
    WithdrawalCode,
    format_time,
    parse_time,
)
from volens.consent.errors import ReceiptError, ReceiptSignatureError
from volens.consent.law import ProfileCatalogue
from volens.consent.processing_record import ProcessingRecord
from volens.consent.receipt import Controller, verify_receipt

REPEATABLE = settings(derandomize=True, deadline=None, max_examples=100, database=None)

texts = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn", "Cf", "Zl", "Zp")), max_size=60)
moments = st.datetimes(datetime(1, 1, 1), datetime(9990, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  hypothesis requires naive limits
seeds = st.binary(min_size=32, max_size=32)
receipt_ids = st.binary(min_size=16, max_size=16).map(lambda data: ReceiptId(data.hex()))
plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
json_values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)

TOKEN = receipt().token
DOCUMENT = document(TOKEN)


@REPEATABLE
@given(
    seed=seeds,
    receipt_id=receipt_ids,
    site=texts,
    name=texts,
    promise=texts.filter(lambda text: text.strip()),
    jurisdiction=st.from_regex(r"[A-Z]{2}(-[A-Z0-9]{1,3})?", fullmatch=True),
    days=st.integers(1, 1098),
    now=moments,
)
def test_every_receipt_survives_its_bytes_and_verifies_under_its_own_key(
    seed: bytes,
    receipt_id: ReceiptId,
    site: str,
    name: str,
    promise: str,
    jurisdiction: str,
    days: int,
    now: datetime,
) -> None:
    key = SubjectKey.from_seed(seed)
    its, controller = zone(alternative=promise, retention_days=days), Controller(SiteId(site), name, name)
    signed = sign_receipt(
        its,
        notice(),
        controller,
        receipt_id=receipt_id,
        jurisdiction=jurisdiction,
        key=key,
        now=now,
        record=ProcessingRecord(controller, its, jurisdiction, ProfileCatalogue().get("EU")),
    )
    again = UnverifiedReceipt.parse(signed.token.encode("ascii"))
    assert again == signed
    assert again.claims.site_id == site
    assert again.claims.jurisdiction == jurisdiction
    assert again.claims.expires_at - again.claims.issued_at == timedelta(days=days)
    assert verify_receipt(again, key.public).claims == signed.claims


@REPEATABLE
@given(data=st.binary(max_size=300))
def test_any_bytes_are_a_receipt_or_a_receipt_error(data: bytes) -> None:
    with pytest.raises(ReceiptError):
        UnverifiedReceipt.parse(data)
    with pytest.raises(ReceiptError):
        TakeHome.parse(data)


@REPEATABLE
@given(place=st.integers(0, len(TOKEN) - 1), letter=st.characters(max_codepoint=127, exclude_characters=" \t\r\n"))
def test_no_character_of_a_receipt_can_be_changed(place: int, letter: str) -> None:
    bad = TOKEN[:place] + letter + TOKEN[place + 1 :]
    if bad == TOKEN:
        return
    with pytest.raises((ReceiptError, ReceiptSignatureError)):
        verify_receipt(UnverifiedReceipt.parse(bad.encode()), ANN.public)


@REPEATABLE
@given(cut=st.integers(0, len(TOKEN) - 1))
def test_a_receipt_that_is_cut_off_is_refused(cut: int) -> None:
    with pytest.raises((ReceiptError, ReceiptSignatureError)):
        verify_receipt(UnverifiedReceipt.parse(TOKEN[:cut].encode()), ANN.public)


@REPEATABLE
@given(name=st.sampled_from(sorted(DOCUMENT)), value=json_values)
def test_any_json_in_the_place_of_a_section_gives_a_receipt_error(name: str, value: object) -> None:
    try:
        payload = rfc8785.dumps(DOCUMENT | {name: value})  # type: ignore[operator]
    except ValueError:
        return  # no canonical form, so nothing to sign
    with pytest.raises(ReceiptError):
        UnverifiedReceipt.parse(token(payload).encode())


@REPEATABLE
@given(section=st.sampled_from(["event", "pii_processing"]), data=st.data(), value=json_values)
def test_any_json_in_the_place_of_a_field_is_read_or_gives_a_receipt_error(
    section: str, data: st.DataObject, value: object
) -> None:
    name = data.draw(st.sampled_from(sorted(DOCUMENT[section])))
    changed = DOCUMENT | {section: DOCUMENT[section] | {name: value}}
    try:
        signed = token(rfc8785.dumps(changed))
    except ValueError:
        return
    try:
        read = UnverifiedReceipt.parse(signed.encode())
    except ReceiptError:
        return
    # Fields that decide nothing may have any signed value; fields that decide are checked as always.
    assert UnverifiedReceipt.parse(read.token.encode()) == read
    assert verify_receipt(read, ANN.public).claims == read.claims


@REPEATABLE
@given(random=st.binary(min_size=17, max_size=17), notice_text=texts.filter(lambda text: text.strip()))
def test_every_take_home_file_survives_writing_and_reading(random: bytes, notice_text: str) -> None:
    code = WithdrawalCode.generate(lambda _: random)
    home = TakeHome(receipt(), code, notice(text=notice_text.encode()).text)
    again = TakeHome.parse(home.to_json())
    assert again.receipt == home.receipt
    assert again.notice_text == notice_text
    assert again.code is not None
    assert again.code.matches(code.digest())


@REPEATABLE
@given(random=st.binary(min_size=17, max_size=17))
def test_every_withdrawal_code_survives_being_read_out(random: bytes) -> None:
    code = WithdrawalCode.generate(lambda _: random)
    for text in (code.reveal(), code.reveal().lower().replace("-", " "), code.qr_text()):
        assert WithdrawalCode.parse(text).digest() == code.digest()


@REPEATABLE
@given(first=moments, second=moments)
def test_times_survive_writing_and_their_texts_are_in_their_order(first: datetime, second: datetime) -> None:
    assert parse_time(format_time(first)) == first.replace(microsecond=0)
    assert (format_time(first) <= format_time(second)) == (
        first.replace(microsecond=0) <= second.replace(microsecond=0)
    )
