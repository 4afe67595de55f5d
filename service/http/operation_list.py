"""The operations of the HTTP interface with their roles, for papers: read from the description (OpenAPI) itself."""

from collections.abc import Iterator
from typing import Any, Final

from volens.rights.papers.operations import Operation
from volens.service.http.http_app import interface
from volens.service.http.person_routes import CodeOrReceipt, VisitAnswer

_REFERENCE: Final = "$ref"
_JSON: Final = "json"
_NEEDS_ONE: Final = frozenset({"oneOf", "minProperties"})
"""How a description says that one of the members must be there."""
_OK: Final = "2"
"""How the status of a response that is no error begins."""


def operation_list() -> tuple[Operation, ...]:
    """Return every operation, in the order of the description."""
    document = interface().openapi()
    schemas = document["components"]["schemas"]
    found = (one for path in document["paths"].values() for one in path.values())
    return tuple(_operation(one, schemas) for one in found)


def _operation(operation: dict[str, Any], schemas: dict[str, Any]) -> Operation:
    good = [one for status, one in operation["responses"].items() if status.startswith(_OK)]
    contents = [kind for one in good for kind in one.get("content", {}).items()]
    body = operation.get("requestBody", {})
    return Operation(
        name=operation["operationId"],
        summary=operation["summary"],
        roles=frozenset(operation.get("x-roles", ())),
        shows_visits=VisitAnswer.__name__ in _models(contents, schemas),
        asks_for_proof=_asks_for_proof(body, schemas),
        gives_file=any(_JSON not in kind and "text/" not in kind for kind, _schema in contents),
    )


def _asks_for_proof(body: dict[str, Any], schemas: dict[str, Any]) -> bool:
    """Whether a body has the members of `CodeOrReceipt`, and must have one of them."""
    wanted = set(CodeOrReceipt.model_fields)
    models = [schemas[name] for name in _models(body, schemas)]
    return any(wanted <= set(one.get("properties", ())) and not _NEEDS_ONE.isdisjoint(one) for one in models)


def _models(value: object, schemas: dict[str, Any]) -> set[str]:
    """Return the names of all models that a part of the description refers to, directly or through others."""
    found: set[str] = set()
    waiting = list(_references(value))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _references(schemas[name])
    return found


def _references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(name := value.get(_REFERENCE), str):
            yield name.rpartition("/")[2]
        value = list(value.values())
    if isinstance(value, list | tuple):
        for one in value:
            yield from _references(one)
