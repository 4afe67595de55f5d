"""What ``/openapi.json`` says beyond what the framework finds out by itself: credentials, roles, problems, examples."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from volens.service.http.access import WHO_MAY
from volens.service.http.problems import KIND, MEDIA_TYPE

_ID: Final = "0f6a2c9d4e1b48f7a3d5c6b7e8f90a1b"
_SUBJECT: Final = "Jv3Z0m6xk2n8Qw1LrT5yB7cD9eF4gH0iKpNqRsUuVwX"
_SHA256: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_AT: Final = "2026-11-27T08:00:00Z"
_REQUEST: Final = {
    "request_id": _ID,
    "kind": "access",
    "known": True,
    "received_at": _AT,
    "due_at": "2026-12-27T08:00:00Z",
    "extended_for": None,
    "closed_at": None,
    "outcome": None,
    "overdue": False,
}
_JOB: Final = {
    "job_id": _ID,
    "kind": "sweep",
    "state": "done",
    "done": 3,
    "total": 3,
    "outcome": {"reasons": {"expired": 3}, "resumed": 0, "stray_secrets": 0},
    "begun_at": _AT,
}
_FACE: Final = {
    "box": [311.0, 96.5, 402.2, 221.9],
    "decision": "match",
    "subject_id": _SUBJECT,
    "comparison_score": 0.7134,
}
_NOTICE: Final = {"zone": "lobby", "version": 1, "language": "en", "sha256": _SHA256, "text": "We compare your face.\n"}

EXAMPLES: Final[Mapping[str, Any]] = {
    "Accepted": {"status": "accepted"},
    "CarriedOut": {"certificate_ids": [_ID]},
    "Claim": {"decision": "match", "face": _FACE},
    "Closing": {"outcome": "refused"},
    "ConsentAnswer": {
        "receipt_id": _ID,
        "subject_id": _SUBJECT,
        "zone": "lobby",
        "expires_at": "2027-02-25T08:00:00Z",
        "take_home": '{"receipt": "eyJ...", "withdrawal_code": "..."}',
        "person_key_pem": "-----BEGIN PRIVATE KEY-----\n...",
        "secret": None,
    },
    "Decisions": {
        "zone": "lobby",
        "model": "sface@fb143eea",
        "threshold": 0.5,
        "second_factor": "none",
        "faces": [_FACE],
    },
    "EnrolledAnswer": {
        "reference_id": 12,
        "subject_id": _SUBJECT,
        "zone": "lobby",
        "model": "sface@fb143eea",
        "photo_count": 3,
        "few": False,
        "badge": None,
    },
    "Entries": {"entries": ["eyJhdCI6Li4ufQ=="], "start": 0, "next": None},
    "Extension": {"because": "complex"},
    "Face": _FACE,
    "Health": {"status": "ok", "missing": []},
    "JobAnswer": _JOB,
    "LogAnswer": {
        "size": 17,
        "root": _SHA256,
        "checkpoints": 9,
        "key": "volens/4f2a+1b2c3d4e+AbC...",
        "kinds": {"site.created": 1},
    },
    "NewConsent": {"name": "Ada Example", "jurisdiction": "FR", "notice_sha256": _SHA256, "external_id": "4711"},
    "NewFactor": {"badge_number": "04:A1:B2:C3"},
    "NewJob": {"kind": "sweep"},
    "NewNotice": {"language": "en", "text": "We compare your face.\n"},
    "NewPlan": {"jurisdiction": "FR"},
    "NewRequest": {"kind": "erasure", "subject_id": _SUBJECT},
    "NewZone": {
        "zone": "lobby",
        "custody": "operator",
        "justification": "Hands are full of trays",
        "alternative": "A badge at the same doors",
        "retention_days": 90,
    },
    "NoticeAnswer": _NOTICE,
    "Page_JobAnswer_": {"items": [_JOB], "next": None},
    "Page_RequestAnswer_": {"items": [_REQUEST], "next": "djE6cmVxdWVzdHM6Li4u"},
    "PlanAnswer": {
        "cohort_id": _ID,
        "selection": {"jurisdiction": "FR"},
        "counts": {"cohort": {"people": 2}, "outside": {"people": 5}},
        "operators_required": 2,
        "good_until": "2026-12-04T08:00:00Z",
        "plan": '{"plan": "eyJ...", "approvals": []}\n',
    },
    "Problem": {
        "type": f"{KIND}no-live-consent",
        "title": "no live consent",
        "status": 404,
        "detail": "no consent in force is known by this; whether there ever was one is not told here",
        "instance": "urn:volens:request:4f1c0a9be2d37856",
    },
    "Proof": {"hashes": [_SHA256]},
    "RequestAnswer": _REQUEST,
    "Shown": {"code": "XXXXX-XXXXX-XXXXX-XXXXX-XXXXX-X"},
    "Taken": {"request_id": _ID, "due_at": "2026-12-27T08:00:00Z"},
    "Withdrawal": {"code": "XXXXX-XXXXX-XXXXX-XXXXX-XXXXX-X"},
    "Withdrawn": {"zone": "lobby", "certificate_id": _ID, "certificate": '{"certificate": "eyJ..."}'},
    "ZoneAnswer": {
        "zone": "lobby",
        "custody": "operator",
        "second_factor": "none",
        "retention_days": 90,
        "live_consents": 12,
        "references": {"sface@fb143eea": 11},
    },
}
"""For each model an answer or a body as it could be."""

_PROBLEM: Final = {
    "type": "object",
    "title": "Problem",
    "description": "Why something was refused (RFC 9457). Nothing that was sent is repeated.",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "pattern": f"^{KIND}"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "one sentence: what was got, what was expected, what to do next"},
        "instance": {"type": "string", "description": "of this answer; stands in the service's log"},
    },
}
_SCHEME: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "a credential as 'volens credential add' issues it",
}


def describe(app: FastAPI) -> None:
    """Let an application describe itself so."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(
                get_openapi(
                    title=app.title,
                    version=app.version,
                    description=app.description,
                    routes=app.routes,
                    separate_input_output_schemas=app.separate_input_output_schemas,
                )
            )
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend the description


def _without_null(schema: dict[str, Any]) -> None:
    """Say of members that may be left out that they are not null: forms and headers have none."""
    for member in schema["properties"].values():
        kinds = [one for one in member.get("anyOf", []) if one != {"type": "null"}]
        if len(kinds) == 1:
            del member["anyOf"]
            member.update(kinds[0])


def _complete(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document["components"]["schemas"]
    schemas["Problem"] = _PROBLEM
    for name, example in EXAMPLES.items():
        if name in schemas:
            schemas[name]["examples"] = [example]
    document["components"]["securitySchemes"] = {"credential": _SCHEME}
    problem = {
        "description": "a problem",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for name, schema in schemas.items():
        if name.startswith("Body_") or schema.get("maxProperties") == 1:
            _without_null(schema)
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"]["default"] = problem
            _without_null({"properties": {one["name"]: one["schema"] for one in operation.get("parameters", [])}})
            roles = WHO_MAY.get(operation["operationId"])
            if roles is not None:
                operation["security"] = [{"credential": []}]
                operation["x-roles"] = sorted(roles)
    return document
