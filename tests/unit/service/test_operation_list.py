"""The operations for papers: read from the interface itself, with the roles that it enforces."""

import pytest

from tests.architecture.code import imported_by, modules
from volens.rights.papers import Operation
from volens.rights.papers.operations import lists_visits
from volens.service.http import ALLOWED_ROLES, PUBLIC_OPERATIONS
from volens.service.http.operation_list import operation_list


@pytest.fixture(scope="module")
def operations() -> dict[str, Operation]:
    return {one.name: one for one in operation_list()}


def test_every_operation_is_there_with_the_roles_that_may_call_it(operations: dict[str, Operation]) -> None:
    streams = {"stream"}  # a WebSocket, which OpenAPI does not describe
    assert operations.keys() == (ALLOWED_ROLES.keys() | PUBLIC_OPERATIONS) - streams
    for name, one in operations.items():
        assert one.roles == {role.value for role in ALLOWED_ROLES.get(name, ())}
        assert one.summary


def test_only_the_person_with_code_or_receipt_is_shown_visits(operations: dict[str, Operation]) -> None:
    assert [one.name for one in operations.values() if one.shows_visits] == ["explain_decisions"]
    assert operations["explain_decisions"].asks_for_proof
    assert lists_visits(tuple(operations.values())) == []


def test_operations_that_give_out_a_file_are_known(operations: dict[str, Operation]) -> None:
    files = {name for name, one in operations.items() if one.gives_file}
    assert {"answer_request", "read_dossier"} <= files
    assert not {"list_people", "identify", "read_notice"} & files


def test_no_page_for_staff_reads_visits() -> None:
    """Pages are not in the description of the interface; the papers say that a test checks them."""
    readers = {
        name
        for name, tree in modules().items()
        if name.startswith("volens.service.web.") and "volens.store.people.visits" in imported_by(tree)
    }
    assert readers == {"volens.service.web.photo_pages"}, "whether the person's own door has known them"
