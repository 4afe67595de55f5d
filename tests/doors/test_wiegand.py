"""Wiegand formats against published cards, and what a reader reads as the text of a second factor."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volens.consent import InputError
from volens.consent.panel_badge import MOST_FACILITY, MOST_NUMBER, PanelBadge
from volens.service.door.read_cards import KeypadDigits, card_number
from volens.service.door.wiegand import FORMATS, Card, WiegandFormat, format_named


@pytest.mark.parametrize(
    ("name", "text", "raw"),
    [
        # Cards that the documentation of Proxmark3 decodes; above the bits they have the preamble of a HID tag.
        ("26", "118-1603", 0x2006EC0C86),
        ("26", "123-4567", 0x2006F623AE),
        # A card from the log of a Doppelgänger reader.
        ("35", "2643-163271", 0x2D4A64FB8E),
    ],
)
def test_a_published_card_has_these_bits(name: str, text: str, raw: int) -> None:
    wanted = FORMATS[name]
    card = wanted.encode(PanelBadge.parse(text))
    assert card.value == raw & (1 << wanted.length) - 1
    assert wanted.decode(card) == PanelBadge.parse(text)


@pytest.mark.parametrize(
    ("name", "text", "bits"),
    [
        # Worked out by hand from the tables of the makers: parity, facility, number, parity.
        ("26", "1-1", "10000000100000000000000010"),
        ("34", "1-1", "1000000000000000100000000000000010"),
        ("34", "3-0", "0000000000000001100000000000000001"),
        ("37", "1-1", "1000000000000000100000000000000000010"),
        # The middle bit, the 19th, is in both halves.
        ("37", "0-131072", "1000000000000000001000000000000000000"),
        ("37-plain", "131072", "1000000000000000001000000000000000000"),
        ("37-plain", "1", "0000000000000000000000000000000000010"),
    ],
)
def test_parity_is_as_in_the_tables_of_the_makers(name: str, text: str, bits: str) -> None:
    card = FORMATS[name].encode(PanelBadge.parse(text))
    assert f"{card.value:0{card.length}b}" == bits
    assert card.data == int(bits.ljust(-(-card.length // 8) * 8, "0"), 2).to_bytes(-(-card.length // 8), "big")


@given(data=st.data(), name=st.sampled_from(sorted(FORMATS)))
def test_every_number_is_decoded_as_encoded_and_no_bit_can_change(data: st.DataObject, name: str) -> None:
    one = FORMATS[name]
    facility = data.draw(st.integers(0, (1 << one.facility_bits) - 1)) if one.facility_bits else None
    badge = PanelBadge(facility, data.draw(st.integers(0, (1 << one.number_bits) - 1)))
    card = one.encode(badge)
    assert one.decode(card) == badge
    assert PanelBadge.parse(badge.text) == badge
    flipped = Card.of(card.length, card.value ^ 1 << data.draw(st.integers(0, card.length - 1)))
    assert one.decode(flipped) != badge


@pytest.mark.parametrize(
    ("name", "badge", "why"),
    [
        ("26", PanelBadge(256, 1), "facility code that does not fit format 26; expected 0 to 255"),
        ("26", PanelBadge(1, 65_536), "card number that does not fit format 26; expected 0 to 65535"),
        ("26", PanelBadge(None, 1), "expected a facility code and a number"),
        ("37-plain", PanelBadge(1, 1), "expected a number alone"),
        ("37-plain", PanelBadge(None, 1 << 35), "expected 0 to 34359738367"),
    ],
)
def test_a_badge_number_that_does_not_fit_the_format_is_refused(name: str, badge: PanelBadge, why: str) -> None:
    with pytest.raises(InputError, match=why):
        FORMATS[name].encode(badge)


def test_an_unknown_format_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="expected one of 26, 34, 35, 37, 37-plain"):
        format_named("27")


@pytest.mark.parametrize("text", ["1" * 200, "", "12-", "-12", "1-2-3", "abc", "12.5", "70000-1", str(MOST_NUMBER + 1)])
def test_a_text_that_is_no_badge_number_is_one_sentence_without_it(text: str) -> None:
    with pytest.raises(InputError, match="that no card format holds; expected NUMBER or FACILITY-NUMBER") as caught:
        PanelBadge.parse(text)
    assert len(text) < 3 or text not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_badge_number_is_not_in_its_repr() -> None:
    badge = PanelBadge(MOST_FACILITY, MOST_NUMBER)
    assert PanelBadge.parse(badge.text) == badge
    assert str(MOST_NUMBER) not in repr(badge)
    assert str(MOST_FACILITY) not in repr(badge)
    assert repr(FORMATS["26"].encode(PanelBadge(1, 1))) == "Card(length=26)"


@pytest.mark.parametrize(
    ("card", "number"),
    [
        (FORMATS["26"].encode(PanelBadge(8, 3)), "00800003"),
        (FORMATS["34"].encode(PanelBadge(8, 3)), "0000800003"),
        (FORMATS["35"].encode(PanelBadge(8, 3)), "00080000003"),
        (FORMATS["37-plain"].encode(PanelBadge(None, 3)), "00000000003"),
        (Card(26, b"\x00\x00\x00\x00"), "W26X00000000"),
        (Card(48, b"\x01\x02\x03\x04\x05\x06"), "W48X010203040506"),
        (Card(56, b"\x01"), None),
        (Card(4, b"\x01"), None),
        (Card(400, bytes(50)), None),
    ],
    ids=["26", "34", "35", "37", "wrong parity", "a serial number", "too few bytes", "too short", "too long"],
)
def test_a_card_is_read_as_one_text(card: Card, number: str | None) -> None:
    assert card_number(card.length, card.data) == number


@given(data=st.data(), name=st.sampled_from(list(FORMATS)))
def test_a_card_that_was_read_is_passed_on_as_it_is(data: st.DataObject, name: str) -> None:
    known = FORMATS[name]
    number = data.draw(st.integers(0, (1 << known.number_bits) - 1))
    facility = data.draw(st.integers(0, (1 << known.facility_bits) - 1)) if known.facility_bits else None
    card = known.encode(PanelBadge(facility, number))
    text = card_number(card.length, card.data)
    assert text is not None
    assert known.encode(known.badge_read(text)) == card


@pytest.mark.parametrize("text", ["W48X010203040506", "", "12a", "1" * 13, "½"])
def test_what_is_no_number_of_the_format_is_not_passed_on(text: str) -> None:
    with pytest.raises(InputError, match="got a badge that is no number of format 26"):
        FORMATS["26"].badge_read(text)


def test_a_keypad_collects_digits_until_its_enter_key() -> None:
    keypad = KeypadDigits()
    assert keypad.typed(b"12") == []
    assert keypad.typed(b"34\r") == ["1234"]
    assert keypad.typed(b"9\x7f88\r\r77\xb2\r") == ["88", "77"]
    assert keypad.typed(b"1" * 30 + b"\r") == ["1" * 12]


def test_formats_have_the_bits_of_their_parts() -> None:
    def parity_bits(one: WiegandFormat) -> int:
        return one.length - one.facility_bits - one.number_bits

    assert {name: parity_bits(one) for name, one in FORMATS.items()} == dict.fromkeys(FORMATS, 2) | {"35": 3}
