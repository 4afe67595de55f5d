"""All checks of schemathesis on every operation, with valid and invalid requests."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from unittest.mock import Mock

import pytest
import schemathesis
from house import House
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Case, CheckContext, GenerationMode, HookContext, Response

from tests.service.test_connections import listening
from volens.face import Extractor
from volens.service.http import ALLOWED_ROLES, AppState, RateLimiter, application
from volens.store.programs import Role


@dataclass
class IdempotentRequest:
    url: str
    shown: dict[Role, str]

    def headers(self, case: Case) -> dict[str, str]:
        roles = ALLOWED_ROLES.get(case.operation.definition.raw["operationId"])
        return {} if roles is None else {"Authorization": f"Bearer {self.shown[min(roles)]}"}


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, extractor: Extractor) -> Iterator[IdempotentRequest]:
    house = House.build(tmp_path_factory.mktemp("asked") / "home")
    house.reopen(lambda: extractor)
    house.admit()
    issue = house.site.programs.credentials.issue
    tokens = {role: issue(label=role, role=role, zone="lobby" if role is Role.DOOR else None)[1] for role in Role}
    fast = RateLimiter(1e6, 10**6, time.monotonic)
    orders = tmp_path_factory.mktemp("orders")
    app_state = AppState(house.site, 1, 4, orders_folder=orders)
    app_state.caller_limiter = app_state.address_limiter = app_state.log_reader_limiter = fast
    with listening(app_state, 10) as port:
        yield IdempotentRequest(f"http://127.0.0.1:{port}", {role: token.reveal() for role, token in tokens.items()})
    app_state.close()
    house.site.close()


_FRAMING = {"content-length", "transfer-encoding"}

# Tests are collected from the description alone, which needs no site; the fixture `running` serves one.
# A body may match its schema without being an image, a receipt or a name; then 422 is the correct response.
# This checks that it is not refused as a mismatch of the schema.
_CONFIG = {"checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", 401, 403, 404, 409, 422, 503]}}}
schema = schemathesis.openapi.from_dict(
    application(Mock(spec=AppState, site=Mock())).openapi(), config=schemathesis.Config.from_dict(_CONFIG)
)


@schemathesis.hook
def map_headers(context: HookContext, headers: dict[str, Any] | None) -> dict[str, Any] | None:
    """Leave out what frames a message: a wrong value is refused by the parser of HTTP, before an operation is found."""
    del context
    return headers and {name: value for name, value in headers.items() if name.lower() not in _FRAMING}


@schemathesis.check
def fits_and_is_not_refused_for_its_shape(ctx: CheckContext, response: Response, case: Case) -> None:
    del ctx
    if case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE and response.status_code == 422:
        assert response.json()["type"] != "urn:volens:problem:shape", response.json()["detail"]


@schema.parametrize()
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_an_operation_responds_as_it_is_described(case: Case, asked: IdempotentRequest) -> None:
    case.call_and_validate(base_url=asked.url, headers=asked.headers(case))
