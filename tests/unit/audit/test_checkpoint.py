"""Checkpoints: the published example, the exact form, and every way not to be one."""

import base64
import re
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from volens.audit import MAX_NOTE_BYTES, MAX_SIZE, Checkpoint, VerifierKey, empty_root, open_checkpoint, sign_checkpoint
from volens.consent import InputError, TamperError

ORIGIN = "volens.example/front-door"
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64)))
KEY = VerifierKey(ORIGIN, PRIVATE.public_key().public_bytes_raw())
ROOT = bytes(range(200, 232))
POINT = Checkpoint(ORIGIN, 20852163, ROOT)
NOTE = sign_checkpoint(POINT, PRIVATE)
BODY, LINE = NOTE.split("\n\n")
EM_DASH = "\N{EM DASH}"

# golang.org/x/mod/sumdb/note, its package documentation: a note that Go signed, and the key for it.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_SIGNATURE = (
    f"{EM_DASH} PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
)


def signed(body: str, *, name: str = ORIGIN, key: Ed25519PrivateKey = PRIVATE) -> str:
    """Sign any text as a note, without the module under test."""
    key_id = VerifierKey(ORIGIN, key.public_key().public_bytes_raw()).key_id
    return f"{body}\n{EM_DASH} {name} {base64.b64encode(key_id + key.sign(body.encode())).decode()}\n"


def line_of(key: Ed25519PrivateKey, name: str = ORIGIN, text: str = BODY + "\n") -> str:
    key_id = VerifierKey(name, key.public_key().public_bytes_raw()).key_id
    return f"{EM_DASH} {name} {base64.b64encode(key_id + key.sign(text.encode())).decode()}\n"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


# --- the form


def test_a_checkpoint_is_three_lines_an_empty_one_and_a_signature() -> None:
    lines = NOTE.split("\n")
    assert lines[:4] == [ORIGIN, "20852163", base64.b64encode(ROOT).decode(), ""]
    assert lines[4].startswith(f"{EM_DASH} {ORIGIN} ")
    assert lines[5:] == [""]
    signature = base64.b64decode(lines[4].split(" ")[2])
    assert signature[:4] == KEY.key_id
    PRIVATE.public_key().verify(signature[4:], POINT.body().encode())


def test_a_checkpoint_survives_signing_and_opening() -> None:
    assert open_checkpoint(NOTE, KEY) == POINT


@pytest.mark.parametrize(
    "point",
    [Checkpoint(ORIGIN, 0, empty_root()), Checkpoint(ORIGIN, 1, ROOT), Checkpoint(ORIGIN, MAX_SIZE, ROOT)],
)
def test_a_log_of_any_size_has_a_checkpoint(point: Checkpoint) -> None:
    assert open_checkpoint(sign_checkpoint(point, PRIVATE), KEY) == point


def test_the_published_verifier_key_of_go_is_read_and_written() -> None:
    key = VerifierKey.parse(GO_KEY)
    assert (key.name, key.key_id.hex(), key.line()) == ("PeterNeumann", "c74f20a3", GO_KEY)


def test_the_published_note_of_go_passes_the_signature_and_is_no_checkpoint() -> None:
    with pytest.raises(TamperError, match="got a checkpoint of 2 lines"):
        open_checkpoint(f"{GO_TEXT}\n{GO_SIGNATURE}\n", VerifierKey.parse(GO_KEY))
    with pytest.raises(TamperError, match="signature does not match"):
        open_checkpoint(f"{GO_TEXT.replace('answer', 'Answer')}\n{GO_SIGNATURE}\n", VerifierKey.parse(GO_KEY))


def test_a_key_survives_its_line() -> None:
    assert VerifierKey.parse(KEY.line()) == KEY


# --- what is no checkpoint


def with_line(change: Callable[[str], str]) -> str:
    return f"{BODY}\n\n{change(LINE)}"


def flip(text: str, place: int) -> str:
    data = bytearray(base64.b64decode(text))
    data[place] ^= 1
    return base64.b64encode(bytes(data)).decode()


def with_signature(change: Callable[[str], str]) -> str:
    dash, name, encoded = LINE.removesuffix("\n").split(" ")
    return f"{BODY}\n\n{dash} {name} {change(encoded)}\n"


ROOT64 = base64.b64encode(ROOT).decode()
NO_CHECKPOINTS: dict[str, tuple[str, str]] = {
    # the note
    "nothing": ("", "not a text, an empty line and signature lines"),
    "no signature": (BODY + "\n\n", "integrity"),
    "no empty line": (NOTE.replace("\n\n", "\n"), "not a text, an empty line"),
    "no newline at the end": (NOTE.removesuffix("\n"), "not a text, an empty line"),
    "a newline more at the end": (NOTE + "\n", "integrity"),
    "no text": ("\n\n" + LINE, "not a text, an empty line"),
    "Windows line ends": (NOTE.replace("\n", "\r\n"), "not a text, an empty line"),
    "a tab": (NOTE.replace(ORIGIN, ORIGIN + "\t", 1), "not a text, an empty line"),
    "a NUL": (NOTE.replace(ORIGIN, ORIGIN + "\0", 1), "not a text, an empty line"),
    "a lone surrogate": (NOTE.replace(ORIGIN, ORIGIN + "\ud800", 1), "not UTF-8"),
    "too much": ("x" * MAX_NOTE_BYTES + NOTE, f"expected at most {MAX_NOTE_BYTES}"),
    # the signature lines
    "a hyphen for the em dash": (with_line(lambda line: line.replace(EM_DASH, "-")), "signature line is malformed"),
    "two spaces": (with_line(lambda line: line.replace(" ", "  ", 1)), "signature line is malformed"),
    "a signature line without a name": (with_line(lambda line: line.replace(ORIGIN + " ", "")), "malformed"),
    "a signature in base64url": (with_signature(lambda text: text[:-4] + "-_=="), "malformed"),
    "a signature without padding": (with_signature(lambda text: text.rstrip("=") + "A"), "integrity"),
    "a signature with unused bits set": (with_signature(lambda _: "AAAAAAB="), "malformed"),
    "a signature of the key id only": (with_signature(lambda text: text[:4] + "AA=="), "got a signature of 4 bytes"),
    "a malformed line after a good one": (NOTE + "garbage\n", "signature line is malformed"),
    "a malformed line before a good one": (f"{BODY}\n\ngarbage\n{LINE}", "signature line is malformed"),
    "a name with a plus": (f"{NOTE}{EM_DASH} a+b AAAAAAAA\n", "signature line is malformed"),
    "a changed key id": (with_signature(lambda text: flip(text, 0)), "none by the log's key"),
    "a changed signature": (with_signature(lambda text: flip(text, 4)), "signature does not match"),
    "a changed end of the signature": (with_signature(lambda text: flip(text, 67)), "signature does not match"),
    "a signature cut off": (
        with_signature(lambda text: base64.b64encode(base64.b64decode(text)[:-1]).decode()),
        "signature does not match",
    ),
    "another name in the signature line": (with_line(lambda line: line.replace("front", "back")), "none by the log's"),
    "another key": (f"{BODY}\n\n{line_of(OTHER)}", "none by the log's key"),
    "another key that claims the key id": (
        with_signature(lambda _: b64(KEY.key_id + OTHER.sign(f"{BODY}\n".encode()))),
        "signature does not match",
    ),
    "a bad signature after a good one": (NOTE + with_signature(lambda text: flip(text, 9)).split("\n\n")[1], "match"),
    # the text
    "a changed size": (NOTE.replace("20852163", "20852164"), "signature does not match"),
    "a changed root": (NOTE.replace(ROOT64[:4], "AAAA"), "signature does not match"),
    "a changed origin": (NOTE.replace(ORIGIN, "volens.example/back-door", 1), "signature does not match"),
    "the origin of another log": (signed(f"volens.example/back-door\n7\n{ROOT64}\n"), "is of another log"),
    "an empty origin": (signed(f"\n7\n{ROOT64}\n"), "is of another log"),
    "two lines": (signed(f"{ORIGIN}\n7\n"), "got a checkpoint of 2 lines"),
    "an extension line": (signed(f"{ORIGIN}\n7\n{ROOT64}\nextension\n"), "got a checkpoint of 4 lines"),
    "an empty line within": (signed(f"{ORIGIN}\n\n7\n{ROOT64}\n"), "got a checkpoint of 4 lines"),
    "a size with a zero before it": (signed(f"{ORIGIN}\n07\n{ROOT64}\n"), "without leading zeros"),
    "a size with a sign": (signed(f"{ORIGIN}\n+7\n{ROOT64}\n"), "without leading zeros"),
    "a negative size": (signed(f"{ORIGIN}\n-7\n{ROOT64}\n"), "without leading zeros"),
    "a size with a space": (signed(f"{ORIGIN}\n7 \n{ROOT64}\n"), "without leading zeros"),
    "a size with an underscore": (signed(f"{ORIGIN}\n1_0\n{ROOT64}\n"), "without leading zeros"),
    "a size in other digits": (signed(f"{ORIGIN}\n\N{ARABIC-INDIC DIGIT SEVEN}\n{ROOT64}\n"), "leading zeros"),
    "a size in hexadecimal": (signed(f"{ORIGIN}\n0x7\n{ROOT64}\n"), "without leading zeros"),
    "no size": (signed(f"{ORIGIN}\n\n{ROOT64}\n"), "without leading zeros"),
    "a size of 2**63": (signed(f"{ORIGIN}\n{2**63}\n{ROOT64}\n"), "is signed but invalid"),
    "a size of 100 digits": (signed(f"{ORIGIN}\n{'9' * 100}\n{ROOT64}\n"), "without leading zeros"),
    "a root of 31 bytes": (signed(f"{ORIGIN}\n7\n{base64.b64encode(ROOT[:31]).decode()}\n"), "got a root of 31 bytes"),
    "a root without padding": (signed(f"{ORIGIN}\n7\n{ROOT64.rstrip('=')}\n"), "is signed but invalid"),
    "a root with unused bits set": (signed(f"{ORIGIN}\n7\n{'A' * 42}B=\n"), "not canonical"),
    "a root that is not ASCII": (signed(f"{ORIGIN}\n7\n{EM_DASH}\n"), "is signed but invalid"),
    "no leaves and another root": (signed(f"{ORIGIN}\n0\n{ROOT64}\n"), "expected the root of the empty log"),
}


@pytest.mark.parametrize("case", NO_CHECKPOINTS)
def test_a_checkpoint_is_refused_with(case: str) -> None:
    note, words = NO_CHECKPOINTS[case]
    with pytest.raises(TamperError) as caught:
        open_checkpoint(note, KEY)
    assert str(caught.value).startswith("integrity: ")
    assert words in str(caught.value)


def test_signatures_by_unknown_keys_are_ignored_before_and_after() -> None:
    witness = line_of(OTHER, "witness.example")
    same_name = line_of(OTHER)
    assert open_checkpoint(f"{BODY}\n\n{witness}{LINE}{same_name}", KEY) == POINT


def test_a_witness_with_the_logs_key_id_under_another_name_is_ignored() -> None:
    stranger = f"{EM_DASH} witness.example {base64.b64encode(KEY.key_id + bytes(64)).decode()}\n"
    assert open_checkpoint(NOTE + stranger, KEY) == POINT


def test_a_note_of_many_signatures_is_read() -> None:
    many = "".join(line_of(OTHER, f"witness{number}.example") for number in range(16))
    assert open_checkpoint(NOTE + many, KEY) == POINT


def test_no_bit_of_a_note_can_be_changed() -> None:
    data = NOTE.encode()
    for place in range(len(data)):
        for bit in range(0, 8, 3):
            bad = bytearray(data)
            bad[place] ^= 1 << bit
            try:
                text = bad.decode()
            except UnicodeDecodeError:
                continue
            with pytest.raises(TamperError, match="integrity"):
                open_checkpoint(text, KEY)


def test_a_key_that_is_no_point_verifies_nothing() -> None:
    nowhere = VerifierKey(ORIGIN, b"\x02" + bytes(31))  # y = 2 is on no point of the curve
    with pytest.raises(TamperError, match="integrity"):
        open_checkpoint(f"{BODY}\n\n{EM_DASH} {ORIGIN} {b64(nowhere.key_id + bytes(64))}\n", nowhere)


def test_a_log_signs_under_its_own_name_only() -> None:
    other = Checkpoint("a", POINT.size, POINT.root)
    assert sign_checkpoint(other, PRIVATE).splitlines()[-1].startswith(f"{EM_DASH} a ")
    with pytest.raises(TamperError, match="none by the log's key"):
        open_checkpoint(sign_checkpoint(other, PRIVATE), KEY)


# --- the callers' own mistakes


BAD_POINTS: dict[str, tuple[dict[str, Any], str]] = {
    "a negative size": ({"size": -1}, "got a log of -1 leaves"),
    "a size beyond 63 bits": ({"size": 2**63}, f"expected 0 to {MAX_SIZE}"),
    "a root of 31 bytes": ({"root": bytes(31)}, "got a root of 31 bytes; expected 32"),
    "no leaves and a root": ({"size": 0}, "expected the root of the empty log"),
    "an empty origin": ({"origin": ""}, "key name that is empty"),
    "an origin of two lines": ({"origin": "a\nb"}, "key name that is empty or has"),
    "an origin with a space": ({"origin": "a b"}, "key name that is empty or has"),
}


@pytest.mark.parametrize("case", BAD_POINTS)
def test_a_checkpoint_is_not_made_with(case: str) -> None:
    changes, words = BAD_POINTS[case]
    with pytest.raises(ValueError, match=re.escape(words)):
        Checkpoint(**({"origin": ORIGIN, "size": 7, "root": ROOT} | changes))


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\n", "a\tb", "a\0", "a\N{NO-BREAK SPACE}b", "a\u2028b", "\ud800"])
def test_a_key_is_not_made_with_the_name(name: str) -> None:
    with pytest.raises(ValueError, match=r"key name that is empty|surrogates not allowed"):
        VerifierKey(name, bytes(32))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_is_not_made_of_another_length(size: int) -> None:
    with pytest.raises(ValueError, match=f"got a public key of {size} bytes; expected 32"):
        VerifierKey(ORIGIN, bytes(size))


TYPED = base64.b64encode(b"\x01" + KEY.public_key).decode()
NO_KEYS: dict[str, tuple[str, str]] = {
    "nothing": ("", "not a verifier key"),
    "a name": (ORIGIN, "not a verifier key"),
    "no key id": (f"{ORIGIN}+{TYPED}", "not a verifier key"),
    "a key id in capitals": (f"{ORIGIN}+{KEY.key_id.hex().upper().replace('0', 'A')}+{TYPED}", "not a verifier key"),
    "a key id that does not fit": (f"{ORIGIN}+00000000+{TYPED}", "does not match; it was mistyped"),
    "another name": (KEY.line().replace("front", "back"), "does not match; it was mistyped"),
    "a name with a space": (KEY.line().replace("-", " ", 1), "bad name, base64 or length"),
    "31 bytes": (f"{ORIGIN}+00000000+{b64(bytes([1, *bytes(31)]))}", "base64 or length"),
    "no bytes but the type": (f"{ORIGIN}+00000000+AQ==", "bad name, base64 or length"),
    "bad padding": (f"{ORIGIN}+{KEY.key_id.hex()}+{TYPED.rstrip('=')}A", "integrity|base64|fit"),
    "a cosignature key": (
        f"{ORIGIN}+00000000+{b64(bytes([4]) + KEY.public_key)}",
        "another signature type; expected Ed25519",
    ),
}


@pytest.mark.parametrize("case", NO_KEYS)
def test_an_invalid_verifier_key_is_refused(case: str) -> None:
    text, words = NO_KEYS[case]
    with pytest.raises(InputError, match=words):
        VerifierKey.parse(text)
