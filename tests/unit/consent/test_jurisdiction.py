"""Jurisdictions: the valid codes, and the people that an order for one covers."""

import pytest

from volens.consent import InputError
from volens.consent.jurisdiction import covers, parse_jurisdiction


@pytest.mark.parametrize("code", ["FR", "US-IL", "FR-BRE", "GB-1"])
def test_a_country_or_a_part_of_one_is_a_jurisdiction(code: str) -> None:
    assert parse_jurisdiction(code) == code


@pytest.mark.parametrize(
    "text",
    [
        "fr-bre",
        " FR-BRE\n",
        "FR\N{NON-BREAKING HYPHEN}BRE",
        "\uff26\uff32-\uff22\uff32\uff25",
    ],
)
def test_a_jurisdiction_is_typed_in_any_case_and_width(text: str) -> None:
    assert parse_jurisdiction(text) == "FR-BRE"


@pytest.mark.parametrize("text", ["", "FRA", "FR-", "FR-ABCD", "FR\n-B", "F", "\N{CYRILLIC CAPITAL LETTER EF}R"])
def test_other_text_is_not_a_jurisdiction(text: str) -> None:
    with pytest.raises(InputError, match="expected an ISO 3166 code such as FR or US-IL"):
        parse_jurisdiction(text)


@pytest.mark.parametrize(("order", "person"), [("FR", "FR"), ("FR", "FR-BRE"), ("FR-BRE", "FR-BRE")])
def test_an_order_for_a_country_covers_its_parts(order: str, person: str) -> None:
    assert covers(order, person)


@pytest.mark.parametrize(
    ("order", "person"), [("FR-BRE", "FR"), ("FR-B", "FR-BRE"), ("FR", "DE"), ("DE", "FR-DE"), ("FR", "")]
)
def test_an_order_for_one_jurisdiction_covers_no_other(order: str, person: str) -> None:
    assert not covers(order, person)
