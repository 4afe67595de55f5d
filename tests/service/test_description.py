"""The description of the interface: whole, with examples that fit, and roles as they are."""

from typing import Any

import pytest
from jsonschema_rs import validator_for
from starlette.testclient import TestClient

from volens.service.http.access import OPEN, WHO_MAY
from volens.service.http.openapi import EXAMPLES


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def test_every_model_has_an_example_that_fits_it(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    forms = {name for name in schemas if name.startswith("Body_")}
    words = {name for name, schema in schemas.items() if "enum" in schema}
    assert set(schemas) - forms - words == set(EXAMPLES)
    for name in EXAMPLES:
        validator = validator_for({**schemas[name], "components": document["components"]})
        (example,) = schemas[name]["examples"]
        assert list(validator.iter_errors(example)) == [], name


def test_every_operation_says_who_may_and_what_a_refusal_is(document: dict[str, Any]) -> None:
    for path in document["paths"].values():
        for operation in path.values():
            name = operation["operationId"]
            assert list(operation["responses"]["default"]["content"]) == ["application/problem+json"]
            assert operation["summary"]
            if name in OPEN:
                assert "security" not in operation
            else:
                assert operation["security"] == [{"credential": []}]
                assert operation["x-roles"] == sorted(WHO_MAY[name])
