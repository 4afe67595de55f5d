"""The one JSON reader: duplicate members, other encodings and numbers that are not numbers are refused."""

import pytest

from volens.consent.json_reader import DuplicateMemberError, JsonError, read_json


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (
            b'{"a": [1, -2.5, true, null, "\xc3\xa4"], "b": {"a": {}}}',
            {"a": [1, -2.5, True, None, "ä"], "b": {"a": {}}},
        ),
        ('{"A": 1, "a": 2}', {"A": 1, "a": 2}),
        (' \n"x" ', "x"),
    ],
)
def test_json_is_read(text: bytes | str, value: object) -> None:
    assert read_json(text) == value


@pytest.mark.parametrize(
    "text", ['{"a":1,"a":1}', '{"a":1,"b":2,"\\u0061":3}', '[{"x":{"a":1,"a":null}}]', '{"":0,"":0}']
)
def test_two_members_of_one_name_are_refused_at_any_depth(text: str) -> None:
    with pytest.raises(DuplicateMemberError, match=r"^got a JSON object that has one member twice; send each"):
        read_json(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"{}{}",
        b"\xef\xbb\xbf{}",
        '{"a":1}'.encode("utf-16"),
        b'{"a":"\xff"}',
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"1" * 60_000,
        b"[" * 60_000,
        b'{"a":' * 60_000,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_what_is_not_json_gives_one_error_that_repeats_nothing(text: bytes) -> None:
    with pytest.raises(JsonError) as caught:
        read_json(text)
    assert str(caught.value).startswith("got a JSON number" if text == b"1e999" else "got a ")
    assert caught.value.__cause__ is None
