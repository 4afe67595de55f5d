"""Leaves of the audit log: each commits to details that it does not contain."""

import hashlib
import json
import re
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import rfc8785

from volens.audit import MAX_LEAF_BYTES, Event, leaf_bytes, open_leaf, read_leaf
from volens.audit.leaf import open_stored_leaf
from volens.consent import TamperError, from_b64url
from volens.consent.jws import b64url

NOW = datetime(2099, 3, 14, 9, 26, 53, tzinfo=UTC)
SALT = bytes(range(32))
DETAILS: dict[str, str | int] = {"receipt_id": "00" * 16, "references": 3, "zone": "front-door"}


def event(**changes: Any) -> Event:  # noqa: ANN401  any argument of Event
    given: dict[str, Any] = {"kind": "consent.withdrawn", "at": NOW, "details": DETAILS, "salt": SALT}
    return Event(**given | changes)


LEAF = leaf_bytes(event())


def leaf_with(**changes: object) -> bytes:
    return rfc8785.dumps({**json.loads(LEAF), **changes})


def test_a_leaf_is_canonical_json_of_kind_time_and_commitment() -> None:
    commitment = hashlib.sha256(b"volens leaf v1\0" + SALT + rfc8785.dumps(DETAILS)).digest()
    expected = f'{{"at":"2099-03-14T09:26:53Z","commitment":"{b64url(commitment)}","kind":"consent.withdrawn","v":1}}'
    assert expected.encode() == LEAF


def test_a_leaf_shows_nothing_of_the_details() -> None:
    text = LEAF.decode("ascii")
    for name, value in DETAILS.items():
        assert name not in text
        assert len(str(value)) == 1 or str(value) not in text
    assert b64url(SALT) not in text


def test_a_leaf_is_read_without_its_salt() -> None:
    assert read_leaf(LEAF) == ("consent.withdrawn", NOW)


def test_a_leaf_is_opened_with_its_details_and_salt() -> None:
    assert open_leaf(LEAF, DETAILS, SALT) == ("consent.withdrawn", NOW)
    assert open_leaf(LEAF, dict(reversed(DETAILS.items())), SALT) == ("consent.withdrawn", NOW)


def test_a_leaf_is_opened_with_the_stored_text_of_its_details() -> None:
    text = rfc8785.dumps(DETAILS).decode("utf-8")
    assert open_stored_leaf(LEAF, text, SALT) == open_leaf(LEAF, DETAILS, SALT)
    for other, salt in ((text.replace(",", ", ", 1), SALT), (text[:-1], SALT), (text, bytes(32))):
        with pytest.raises(TamperError, match="integrity: the leaf was not made from these details and this salt"):
            open_stored_leaf(LEAF, other, salt)
    with pytest.raises(ValueError, match="got a salt of 31 bytes"):
        open_stored_leaf(LEAF, text, SALT[1:])


def test_the_same_event_gives_the_same_leaf_and_another_salt_another() -> None:
    assert leaf_bytes(event()) == leaf_bytes(event(details=dict(reversed(DETAILS.items()))))
    assert leaf_bytes(event(salt=bytes(32))) != LEAF


def test_once_the_salt_is_erased_guessing_the_details_proves_nothing() -> None:
    commitment = from_b64url(json.loads(LEAF)["commitment"])
    details = rfc8785.dumps(DETAILS)
    for guess in (b"", b"volens leaf v1\0"):
        assert hashlib.sha256(guess + details).digest() != commitment
    with pytest.raises(TamperError, match="not made from these details and this salt"):
        open_leaf(LEAF, DETAILS, bytes(32))


OTHER_DETAILS: dict[str, dict[str, str | int]] = {
    "another value": {**DETAILS, "zone": "vault"},
    "another number": {**DETAILS, "references": 4},
    "a number as text": {**DETAILS, "references": "3"},
    "a member more": {**DETAILS, "extra": ""},
    "a member less": {"receipt_id": "00" * 16, "references": 3},
    "nothing": {},
    "the same values under other names": {"a": "00" * 16, "b": 3, "c": "front-door"},
}


@pytest.mark.parametrize("case", OTHER_DETAILS)
def test_a_leaf_does_not_open_with(case: str) -> None:
    with pytest.raises(TamperError, match="integrity: the leaf was not made from these details and this salt"):
        open_leaf(LEAF, OTHER_DETAILS[case], SALT)


def test_details_cannot_reach_into_the_salt() -> None:
    # If the salt had no fixed length, salt + details could be split in another place.
    with pytest.raises(ValueError, match="got a salt of 33 bytes; expected 32"):
        open_leaf(LEAF, {}, SALT + b"{")
    with pytest.raises(ValueError, match="got a salt of 0 bytes"):
        event(salt=b"")


NO_LEAVES: dict[str, bytes] = {
    "nothing": b"",
    "text": b"leaf",
    "an array": b"[]",
    "a number": b"1",
    "null": b"null",
    "an empty object": b"{}",
    "bytes that are not UTF-8": LEAF.replace(b"consent", b"conse\xff\xff"),
    "a space": LEAF.replace(b",", b", ", 1),
    "a newline at the end": LEAF + b"\n",
    "a byte order mark": b"\xef\xbb\xbf" + LEAF,
    "UTF-16": LEAF.decode().encode("utf-16-le"),
    "another order": json.dumps(dict(reversed(json.loads(LEAF).items())), separators=(",", ":")).encode(),
    "an escape": LEAF.replace(b"consent", b"\\u0063onsent"),
    "a member twice": LEAF.replace(b'"v":1', b'"v":1,"v":1'),
    "a member more": leaf_with(salt=b64url(SALT)),
    "no version": rfc8785.dumps({key: value for key, value in json.loads(LEAF).items() if key != "v"}),
    "no kind": rfc8785.dumps({key: value for key, value in json.loads(LEAF).items() if key != "kind"}),
    "no time": rfc8785.dumps({key: value for key, value in json.loads(LEAF).items() if key != "at"}),
    "no commitment": rfc8785.dumps({key: value for key, value in json.loads(LEAF).items() if key != "commitment"}),
    "another version": leaf_with(v=2),
    "version as text": leaf_with(v="1"),
    "version true": leaf_with(v=True),
    "version 1.0": LEAF.replace(b'"v":1', b'"v":1.0'),
    "a kind without a dot": leaf_with(kind="withdrawn"),
    "a kind in capitals": leaf_with(kind="Consent.withdrawn"),
    "an empty kind": leaf_with(kind=""),
    "a kind that is a number": leaf_with(kind=1),
    "a kind that is a list": leaf_with(kind=["consent.withdrawn"]),
    "a kind that is beyond JSON's numbers": LEAF.replace(b'"consent.withdrawn"', b"9007199254740993"),
    "half a surrogate pair for a kind": LEAF.replace(b"consent.withdrawn", b"\\ud800"),
    "a kind of 65 characters": leaf_with(kind="a." + "b" * 63),
    "a time with an offset": leaf_with(at="2099-03-14T09:26:53+00:00"),
    "a time with a fraction": leaf_with(at="2099-03-14T09:26:53.0Z"),
    "a day that does not exist": leaf_with(at="2099-02-29T00:00:00Z"),
    "a time that is a number": leaf_with(at=4076645213),
    "a commitment of 31 bytes": leaf_with(commitment=b64url(bytes(31))),
    "a commitment of 33 bytes": leaf_with(commitment=b64url(bytes(33))),
    "a commitment with padding": leaf_with(commitment=b64url(bytes(32)) + "="),
    "a commitment with unused bits set": leaf_with(commitment="A" * 42 + "B"),
    "a commitment that is null": leaf_with(commitment=None),
    "a commitment that is a list": leaf_with(commitment=[]),
    "257 bytes": b" " * 257,
    "a megabyte": b"[" * 1_000_000,
    "as many brackets as fit": b"[" * MAX_LEAF_BYTES,
}


@pytest.mark.parametrize("case", NO_LEAVES)
def test_an_invalid_leaf_is_refused(case: str) -> None:
    problem = re.escape(f"integrity: got {len(NO_LEAVES[case])} bytes that are not a Volens audit leaf")
    with pytest.raises(TamperError, match=problem):
        read_leaf(NO_LEAVES[case])
    with pytest.raises(TamperError, match=problem):
        open_leaf(NO_LEAVES[case], DETAILS, SALT)


def test_no_byte_of_a_leaf_can_be_changed_and_still_open_it_as_it_was() -> None:
    for place in range(len(LEAF)):
        for bit in range(8):
            bad = bytearray(LEAF)
            bad[place] ^= 1 << bit
            try:
                opened = open_leaf(bytes(bad), DETAILS, SALT)
            except TamperError:
                continue
            # Kind and time are public and outside the commitment: the tree's hash over the leaf holds those.
            assert opened != ("consent.withdrawn", NOW)


BAD_EVENTS: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "a kind of one word": ({"kind": "withdrawn"}, ValueError, "got event kind 'withdrawn'"),
    "an empty kind": ({"kind": ""}, ValueError, "got event kind ''"),
    "a kind with a newline": ({"kind": "consent.withdrawn\n"}, ValueError, "got event kind"),
    "a kind that begins with a digit": ({"kind": "1.a"}, ValueError, "got event kind"),
    "a kind of 65 characters": ({"kind": "a." + "b" * 63}, ValueError, "got event kind"),
    "a kind that ends with a dot": ({"kind": "consent."}, ValueError, "got event kind"),
    "a naive time": ({"at": NOW.replace(tzinfo=None)}, ValueError, "expected UTC with whole seconds"),
    "a time in Paris": (
        {"at": NOW.astimezone(timezone(timedelta(hours=1)))},
        ValueError,
        "expected UTC with whole seconds",
    ),
    "a time with microseconds": ({"at": NOW.replace(microsecond=1)}, ValueError, "expected UTC with whole seconds"),
    "a salt of 31 bytes": ({"salt": bytes(31)}, ValueError, "got a salt of 31 bytes; expected 32"),
    "a salt of 33 bytes": ({"salt": bytes(33)}, ValueError, "got a salt of 33 bytes; expected 32"),
    "a truth value": ({"details": {"a": True}}, TypeError, "got a detail of type bool"),
    "a fraction": ({"details": {"a": 1.5}}, TypeError, "got a detail of type float"),
    "nothing for a value": ({"details": {"a": None}}, TypeError, "got a detail of type NoneType"),
    "a list": ({"details": {"a": []}}, TypeError, "got a detail of type list"),
    "bytes": ({"details": {"a": b""}}, TypeError, "got a detail of type bytes"),
    "a number beyond JSON's": ({"details": {"a": 2**53}}, ValueError, "safe integer"),
    "half a surrogate pair": ({"details": {"a": "\ud800"}}, ValueError, "UTF-8"),
}


@pytest.mark.parametrize("case", BAD_EVENTS)
def test_an_event_is_refused_with(case: str) -> None:
    changes, kind, words = BAD_EVENTS[case]
    with pytest.raises(kind, match=re.escape(words)):
        event(**changes)


def test_an_event_keeps_an_own_copy_of_its_details() -> None:
    given = dict(DETAILS)
    kept = event(details=given)
    given["zone"] = "vault"
    assert leaf_bytes(kept) == LEAF
    with pytest.raises(TypeError):
        kept.details["zone"] = "vault"  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        kept.kind = "consent.given"  # type: ignore[misc]


def test_an_event_does_not_show_its_details_or_salt() -> None:
    shown = repr(event())
    assert "front-door" not in shown
    assert "salt" not in shown


@pytest.mark.parametrize("kind", ["a.b", "consent.withdrawn", "a.b.c", "a." + "b" * 62])
def test_a_kind_of_the_right_form_is_logged(kind: str) -> None:
    leaf = leaf_bytes(replace(event(), kind=kind))
    assert len(leaf) <= MAX_LEAF_BYTES
    assert read_leaf(leaf) == (kind, NOW)
