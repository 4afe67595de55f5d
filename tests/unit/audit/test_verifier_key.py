"""The public keys of a site: a later key counts only if the key before it introduces it."""

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from volens.audit import Checkpoint, VerifierKey, introduce, open_checkpoint, sign_checkpoint
from volens.consent import InputError, TamperError, jws

NAME = "volens/site"
KEYS = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in range(1, 5)]
TYP = "volens-key-succession+jws"


class Signer:
    def __init__(self, key: Ed25519PrivateKey) -> None:
        self.key = key

    def sign(self, payload: bytes, typ: str) -> str:
        return jws.sign(payload, typ, self.key)


def raw(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


FIRST = VerifierKey(NAME, raw(KEYS[0]))


def chain_of(*sizes: int) -> VerifierKey:
    """Return the first key with a successor at each size of the log."""
    key = FIRST
    for number, size in enumerate(sizes):
        key = key.followed_by([introduce(Signer(KEYS[number]), key, raw(KEYS[number + 1]), size)])
    return key


CHAIN = chain_of(10, 20)


def test_site_pub_is_read_as_it_was_written_and_begins_with_the_first_key() -> None:
    assert VerifierKey.parse(CHAIN.text()) == CHAIN
    assert CHAIN.text().splitlines()[0] == FIRST.line() == CHAIN.line()
    assert CHAIN.public_keys == tuple(raw(key) for key in KEYS[:3])
    assert CHAIN.newest.public_key == raw(KEYS[2])


@pytest.mark.parametrize("change", [str, lambda text: f" {text}\n\n", lambda text: text.replace("\n", "\r\n")])
def test_white_space_around_a_line_does_not_matter(change: object) -> None:
    assert callable(change)
    assert VerifierKey.parse(change(CHAIN.text())) == CHAIN


@pytest.mark.parametrize(
    ("signer", "size", "holds"),
    [(0, 10, True), (0, 11, False), (1, 11, True), (1, 20, True), (1, 21, False), (2, 21, True), (2, 5, True)],
)
def test_a_replaced_key_signs_no_longer_log_than_at_its_succession(signer: int, size: int, *, holds: bool) -> None:
    point = Checkpoint(NAME, size, bytes(32))
    note = sign_checkpoint(point, KEYS[signer])
    if holds:
        assert open_checkpoint(note, CHAIN) == point
    else:
        with pytest.raises(TamperError, match=r"is signed with a key that was replaced at (10|20) leaves"):
            open_checkpoint(note, CHAIN)


def test_an_older_site_pub_does_not_know_the_new_key_and_says_what_to_get() -> None:
    note = sign_checkpoint(Checkpoint(NAME, 30, bytes(32)), KEYS[2])
    with pytest.raises(TamperError, match=r"get its newest site\.pub, whose first line is the one that you have"):
        open_checkpoint(note, chain_of(10))


def statement(signer: int = 1, **other: object) -> str:
    content = {
        "version": 1,
        "epoch": 3,
        "old_key": VerifierKey(NAME, raw(KEYS[1])).line(),
        "new_key": VerifierKey(NAME, raw(KEYS[2])).line(),
        "log_size": 20,
    }
    return jws.sign(rfc8785.dumps(content | other), TYP, KEYS[signer])


REFUSED = {
    "signed with the key before the newest": statement(signer=0),
    "signed with the new key itself": statement(signer=2),
    "signed by a stranger": statement(signer=3),
    "another number": statement(epoch=4),
    "the number as a text": statement(epoch="3"),
    "the number true": statement(epoch=True),
    "the same statement again": CHAIN.successions[0].token,
    "another old key": statement(old_key=FIRST.line()),
    "a key of another site": statement(new_key=VerifierKey("volens/other", raw(KEYS[2])).line()),
    "a new key that is none": statement(new_key="volens/site"),
    "a shorter log than at the change before": statement(log_size=9),
    "a log of -1 leaves": statement(log_size=-1),
    "another version": statement(version=2),
    "another kind of document": jws.sign(b"{}", "volens-receipt+jws", KEYS[1]),
    "no token": "eyJ.e.e",
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_statement_that_does_not_introduce_the_next_key_is_refused(what: str) -> None:
    key = chain_of(10)
    assert key.followed_by([statement()]).newest.public_key == raw(KEYS[2])
    with pytest.raises((TamperError, InputError)):
        key.followed_by([REFUSED[what]])
    with pytest.raises((TamperError, InputError)):
        VerifierKey.parse(key.text() + REFUSED[what])


@given(st.data())
def test_one_changed_character_of_site_pub_never_gives_other_keys(data: st.DataObject) -> None:
    text = CHAIN.text()
    at = data.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + data.draw(st.characters(codec="ascii")) + text[at + 1 :]
    try:
        key = VerifierKey.parse(changed)
    except (InputError, TamperError):
        return
    # A line end may have become a blank line or the end of the first key: then there are fewer keys, never others.
    assert key.public_keys == CHAIN.public_keys[: len(key.public_keys)]
