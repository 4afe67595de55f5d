"""The OpenAPI description is complete: examples validate, and roles are those of the table."""

from typing import Any

import pytest
from jsonschema_rs import validator_for
from starlette.testclient import TestClient

from volens.service.http import ALLOWED_ROLES, PUBLIC_OPERATIONS


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def test_every_model_has_an_example_that_fits_it(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    models = {name for name, schema in schemas.items() if "enum" not in schema and not name.startswith("Body_")}
    assert {"Problem", "ConsentAnswer", "NewConsent", "Page_JobAnswer_"} <= models
    for name in models:
        validator = validator_for({**schemas[name], "components": document["components"]})
        (example,) = schemas[name]["examples"]
        assert example
        assert list(validator.iter_errors(example)) == [], name


def test_every_operation_describes_its_roles_and_its_errors(document: dict[str, Any]) -> None:
    for path in document["paths"].values():
        for operation in path.values():
            name = operation["operationId"]
            assert list(operation["responses"]["default"]["content"]) == ["application/problem+json"]
            assert operation["summary"]
            if name in PUBLIC_OPERATIONS:
                assert "security" not in operation
            else:
                assert operation["security"] == [{"credential": []}]
                assert operation["x-roles"] == sorted(ALLOWED_ROLES[name])
