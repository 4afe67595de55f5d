"""Text files as editors, shells and e-mail programs leave them: read as they were meant."""

import pytest

from volens.consent import InputError
from volens.consent.plain_text import plain_bytes, plain_text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        pytest.param(b"one\ntwo\n", "one\ntwo\n", id="as written"),
        pytest.param(b"\xef\xbb\xbfone\ntwo\n", "one\ntwo\n", id="byte order mark"),
        pytest.param(b"one\r\ntwo\r\n", "one\ntwo\n", id="CR LF"),
        pytest.param(b"\xef\xbb\xbfone\r\ntwo", "one\ntwo", id="both, and no last line end"),
        pytest.param(b"one\rtwo", "one\rtwo", id="a lone CR is content"),
        pytest.param(b"one\xef\xbb\xbftwo", "one\ufefftwo", id="a mark elsewhere is content"),
        pytest.param("Zoë ß 王\r\n".encode(), "Zoë ß 王\n", id="letters of all scripts"),
        pytest.param(b"", "", id="empty"),
    ],
)
def test_byte_order_mark_and_line_ends_are_not_content(data: bytes, text: str) -> None:
    assert plain_text(data, "the list") == text
    assert plain_bytes(data) == text.encode()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("text".encode("utf-16"), "the list is in UTF-16; expected UTF-8"),
        (b"\xfe\xff" + "text".encode("utf-16-be"), "the list is in UTF-16; expected UTF-8"),
        ("text".encode("utf-32"), "the list is in UTF-32; expected UTF-8"),
        ("Müller".encode("latin-1"), "the list is not text in UTF-8"),
        (b"\x89PNG\r\n\x1a\n", "the list is not text in UTF-8"),
    ],
)
def test_another_encoding_is_named_and_nothing_is_repeated(data: bytes, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        plain_text(data, "the list")
    assert "ller" not in str(caught.value)
