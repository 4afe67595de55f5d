"""The OpenAPI description: adds credentials, roles, problems and examples to what FastAPI derives from the routes."""

from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel, Field

from volens.consent.reason import Reason
from volens.service.http.access import ALLOWED_ROLES
from volens.service.http.problems import MEDIA_TYPE, TYPE_PREFIX

_SCHEME: Final = {"type": "http", "scheme": "bearer", "description": "from 'volens credential add'"}


class Problem(BaseModel):
    """Why the request was refused (RFC 9457). Nothing that was sent is repeated."""

    type: str = Field(pattern=f"^{TYPE_PREFIX}", examples=[f"{TYPE_PREFIX}no-live-consent"])
    title: str = Field(examples=["no live consent"])
    status: int = Field(ge=400, le=599, examples=[404])
    detail: str = Field(
        description="one sentence: what was got, what was expected, what to do next",
        examples=["there is no live consent for this"],
    )
    reason: Reason | None = Field(
        None, description="what is wrong, as a code, where there is one; the same in every release"
    )
    number: int | None = Field(None, ge=1, description="of the photo, or of the row of the table, that it is about")
    instance: str = Field(
        description="identifies this response in the service's log", examples=["urn:volens:request:4f1c0a9be2d37856"]
    )


def describe(app: FastAPI) -> None:
    """Complete the description that an application generates."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        return app.openapi_schema or _complete(generate())

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend the description


def _without_null(schema: dict[str, Any]) -> None:
    """Remove null from optional members, because forms and headers have no null."""
    for member in schema["properties"].values():
        kinds = [one for one in member.get("anyOf", []) if one != {"type": "null"}]
        if len(kinds) == 1:
            del member["anyOf"]
            member.update(kinds[0])


def _example(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:  # noqa: ANN401  JSON
    """Return an example that is composed of the examples of the members; null for a member without one."""
    if "examples" in schema:
        return schema["examples"][0]
    if "$ref" in schema:
        return _example(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "array":
        return [_example(schema["items"], schemas)]
    if "properties" in schema:
        required = schema.get("required", [])
        members = schema["properties"].items()
        return {name: _example(one, schemas) for name, one in members if name in required or "examples" in one}
    options = [_example(one, schemas) for one in schema.get("anyOf", []) if one != {"type": "null"}]
    return options[0] if options else None


def _complete(document: dict[str, Any]) -> dict[str, Any]:
    """Change a description, which the application keeps, and return it."""
    schemas = document["components"]["schemas"]
    schemas["Problem"] = Problem.model_json_schema()
    document["components"]["securitySchemes"] = {"credential": _SCHEME}
    reference = {"schema": {"$ref": "#/components/schemas/Problem"}}
    problem = {"description": "a problem", "content": {MEDIA_TYPE: reference}}
    for name, schema in schemas.items():
        if not name.startswith("Body_") and "properties" in schema:
            schemas[name] = schema | {"examples": [_example(schema, schemas)]}
        if name.startswith("Body_") or schema.get("maxProperties") == 1:
            _without_null(schemas[name])
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"]["default"] = problem
            _without_null({"properties": {one["name"]: one["schema"] for one in operation.get("parameters", [])}})
            roles = ALLOWED_ROLES.get(operation["operationId"])
            if roles is not None:
                operation["security"] = [{"credential": []}]
                operation["x-roles"] = sorted(roles)
    return document
