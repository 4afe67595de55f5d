"""Proof at start-up that the database refuses what the types refuse: the forbidden is tried, and must fail.

Everything happens inside the caller's transaction and is rolled back to a savepoint; the rows tried are synthetic, and
their zone is called what no zone can be called.
"""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from volens.consent import TamperError

_RECEIPT: Final = "0" * 32
_OTHER: Final = "1" * 32
_STOPPED: Final = "4" * 32
_ORDERED: Final = "5" * 32
_SUBJECT: Final = "s" * 43
_PAST: Final = "2000-01-01T00:00:00Z"
_FUTURE: Final = "9999-01-01T00:00:00Z"

_REFERENCE: Final = (
    "INSERT INTO biometric_reference "
    "(receipt_id, subject_id, purpose, model_id, model_licence, sealed_embedding, photo_count, enrolled_at) "
    "VALUES (:receipt, :subject, '~self-check', :model, 'none', zeroblob(64), 1, :now)"
)
_RECEIPT_ROW: Final = (
    "INSERT INTO receipt (receipt_id, subject_id, purpose, subject_key, token, withdrawal_digest, expires_at) "
    "VALUES (:receipt, :subject, '~self-check', zeroblob(32), 'none', randomblob(32), :until)"
)
_ZONE: Final = (
    "INSERT INTO zone (purpose, custody, justification, alternative, retention_days, created_at) "
    "VALUES ('~self-check', 'operator', 'none', 'none', 1, :now)"
)
_LIVE: Final = "INSERT INTO live_consent VALUES (:receipt, :subject, '~self-check', :until)"
# Two zones in which the person holds the key, with a consent in force each.
_COMMITMENT: Final = "INSERT INTO subject_secret VALUES (:receipt, :subject, :zone, randomblob(32))"
_BADGE: Final = (
    "INSERT INTO badge (receipt_id, subject_id, purpose, model_id, model_licence, badge_sha256, photo_count, "
    "enrolled_at) VALUES (:receipt, :subject, :zone, :model, 'none', randomblob(32), 1, :now)"
)
_EXTERNAL_ID: Final = "INSERT INTO external_id VALUES (:receipt, :subject, '~self-check', randomblob(32))"
_FACTOR: Final = (
    "INSERT INTO second_factor (receipt_id, subject_id, purpose, kind, lookup, salt, verifier, set_at) "
    "VALUES (:receipt, :subject, :zone, :kind, NULL, zeroblob(16), zeroblob(33), :now)"
)
_FACTOR_ZONE: Final = (
    "INSERT INTO zone (purpose, custody, justification, alternative, retention_days, created_at, second_factor) "
    "VALUES (:zone, :custody, 'none', 'none', 1, :now, 'pin')"
)
_ENDPOINT: Final = (
    "INSERT INTO webhook_endpoint (endpoint_id, recipient_id, url, kinds, allow_private, number, added_at) "
    "VALUES ('~~self-check-~~~', :receipt, 'none', 'none', 0, 1, :now)"
)
_MESSAGE: Final = (
    "INSERT INTO webhook_outbox (message_id, endpoint_id, receipt_id, kind, body, first_at, due_at, attempts) "
    "VALUES (:id, '~~self-check-~~~', :receipt, 'consent.given', 'none', :now, :now, 0)"
)
_BEGUN: Final = "INSERT INTO kept_answer VALUES (:key, zeroblob(32), :now, NULL, NULL, NULL, NULL)"
_ANSWER: Final = (
    "UPDATE kept_answer SET sealed_answer = zeroblob(29), receipt_id = :receipt, subject_id = :subject, "
    "purpose = '~self-check' WHERE key_sha256 = :key"
)
_JOB: Final = (
    "INSERT INTO job (job_id, kind, credential_id, state, done, total, outcome, begun_at, seen_at) "
    "VALUES (:receipt, 'sweep', 'none', 'done', 0, 0, 'none', :now, :now)"
)
_EVENT: Final = "INSERT INTO audit_event SELECT COALESCE(MAX(seq) + 1, 0), x'00' FROM audit_event"
_OF_BADGE: Final = {"receipt": "6" * 32, "subject": _SUBJECT, "zone": "~self-check-badge"}
_OF_FACTOR: Final = {"receipt": "8" * 32, "subject": _SUBJECT, "zone": "~self-check-factor"}
_OF_SECRET: Final = {"receipt": "7" * 32, "subject": _SUBJECT, "zone": "~self-check-secret"}

_SCENE: Final[tuple[tuple[str, Mapping[str, Any]], ...]] = (
    (_ZONE, {"now": _PAST}),
    (_RECEIPT_ROW, {"receipt": _RECEIPT, "subject": _SUBJECT, "until": _FUTURE}),
    (_RECEIPT_ROW, {"receipt": _OTHER, "subject": _SUBJECT, "until": _PAST}),
    (_LIVE, {"receipt": _RECEIPT, "subject": _SUBJECT, "until": _FUTURE}),
    (_LIVE, {"receipt": _OTHER, "subject": _SUBJECT, "until": _PAST}),
    (_REFERENCE, {"receipt": _RECEIPT, "subject": _SUBJECT, "model": "none", "now": _PAST}),
    (
        "INSERT INTO leaving VALUES (:receipt, :subject, '~self-check', :now)",
        {"receipt": _RECEIPT, "subject": _SUBJECT, "now": _PAST},
    ),
    (_EVENT, {}),
    (_ZONE.replace("~self-check", "~stopped"), {"now": _PAST}),
    (
        _RECEIPT_ROW.replace("~self-check", "~stopped"),
        {"receipt": _STOPPED, "subject": _SUBJECT, "until": _FUTURE},
    ),
    ("INSERT INTO collection_stop VALUES (:order, NULL, '~stopped', 0, :now, NULL)", {"order": _OTHER, "now": _PAST}),
    (_RECEIPT_ROW, {"receipt": _ORDERED, "subject": _SUBJECT, "until": _FUTURE}),
    (_LIVE, {"receipt": _ORDERED, "subject": _SUBJECT, "until": _FUTURE}),
    ("INSERT INTO cohort VALUES (:cohort, 'none', 'none', :now, NULL, 'none')", {"cohort": _ORDERED, "now": _PAST}),
    ("INSERT INTO cohort_member VALUES (:cohort, :cohort)", {"cohort": _ORDERED}),
    ("INSERT INTO operator_key VALUES ('~self-check', randomblob(32), :now, :now)", {"now": _PAST}),
    (
        "INSERT INTO api_credential VALUES ('~self-check', 'none', 'desk', NULL, randomblob(32), :now, :now, :now)",
        {"now": _PAST},
    ),
    (
        "INSERT INTO operators_required SELECT COALESCE(MAX(seq) + 1, 0), 2, :now FROM operators_required",
        {"now": _PAST},
    ),
    *(
        (statement.replace("'~self-check'", f"'{owner['zone']}'").replace("'operator'", f"'{custody}'"), values)
        for owner, custody in ((_OF_BADGE, "badge"), (_OF_SECRET, "subject_key"))
        for statement, values in (
            (_ZONE, {"now": _PAST}),
            (_RECEIPT_ROW, {"receipt": owner["receipt"], "subject": _SUBJECT, "until": _FUTURE}),
            (_LIVE, {"receipt": owner["receipt"], "subject": _SUBJECT, "until": _FUTURE}),
        )
    ),
    (_BADGE, _OF_BADGE | {"model": "none", "now": _PAST}),
    (
        "INSERT INTO access_request VALUES (:receipt, 'access', NULL, :now, :now, NULL, NULL, NULL, NULL)",
        {"receipt": _RECEIPT, "now": _PAST},
    ),
    (
        "INSERT INTO recipient VALUES (:receipt, '~self-check', 'none', 'none', NULL, :now, NULL)",
        {"receipt": _RECEIPT, "now": _PAST},
    ),
    ("INSERT INTO webhook_sender VALUES ('~~self-check-~~~', 'none', NULL, :now, :now)", {"now": _PAST}),
    ("INSERT INTO webhook_sender_key VALUES ('~~self-check-~~~', 1, NULL, :now, :now)", {"now": _PAST}),
    (_EXTERNAL_ID, {"receipt": _RECEIPT, "subject": _SUBJECT}),
    (_FACTOR_ZONE, {"zone": _OF_FACTOR["zone"], "custody": "operator", "now": _PAST}),
    (
        _RECEIPT_ROW.replace("~self-check", _OF_FACTOR["zone"]),
        {"receipt": _OF_FACTOR["receipt"], "subject": _SUBJECT, "until": _FUTURE},
    ),
    (
        _LIVE.replace("~self-check", _OF_FACTOR["zone"]),
        {"receipt": _OF_FACTOR["receipt"], "subject": _SUBJECT, "until": _FUTURE},
    ),
    (_FACTOR, _OF_FACTOR | {"kind": "pin", "now": _PAST}),
    (_ENDPOINT, {"receipt": _RECEIPT, "now": _PAST}),
    (_MESSAGE, {"id": "~self-check", "receipt": _RECEIPT, "now": _PAST}),
    (_BEGUN, {"key": bytes(32), "now": _PAST}),
    (_BEGUN, {"key": bytes([1] * 32), "now": _PAST}),
    (_ANSWER, {"key": bytes(32), "receipt": _RECEIPT, "subject": _SUBJECT}),
    (_JOB, {"receipt": _RECEIPT, "now": _PAST}),
    ("INSERT INTO audit_opening SELECT MAX(seq), NULL, 'none', randomblob(32) FROM audit_event", {}),
    ("INSERT INTO opening_term SELECT MAX(seq), :now FROM audit_event", {"now": _PAST}),
    (_EVENT, {}),
    ("INSERT INTO process VALUES ('~~self-check-~~~', :now, :now, 1, 0)", {"now": _PAST}),
)

FORBIDDEN: Final[tuple[tuple[str, str, Mapping[str, Any]], ...]] = (
    (
        "a reference without consent",
        _REFERENCE,
        {"receipt": "2" * 32, "subject": _SUBJECT, "model": "none", "now": _PAST},
    ),
    (
        "a reference of another person",
        _REFERENCE,
        # Of another model, for a second reference of one model is refused whoever it is of.
        {"receipt": _RECEIPT, "subject": "t" * 43, "model": "another", "now": _PAST},
    ),
    (
        "a reference under an expired consent",
        _REFERENCE,
        {"receipt": _OTHER, "subject": _SUBJECT, "model": "none", "now": _PAST},
    ),
    (
        "a changed reference",
        "UPDATE biometric_reference SET photo_count = photo_count + 1 WHERE purpose = '~self-check'",
        {},
    ),
    (
        "a longer consent",
        "UPDATE live_consent SET expires_at = :until WHERE receipt_id = :receipt",
        {"until": _FUTURE, "receipt": _OTHER},
    ),
    (
        "a later leaving date",
        "UPDATE leaving SET leaves_at = :until WHERE receipt_id = :receipt",
        {"until": _FUTURE, "receipt": _RECEIPT},
    ),
    ("a leaving date taken back", "DELETE FROM leaving WHERE receipt_id = :receipt", {"receipt": _RECEIPT}),
    (
        "a longer retention",
        "INSERT INTO shorter_retention VALUES ('~self-check', 2, :now)",
        {"now": _PAST},
    ),
    ("a consent without a receipt", _LIVE, {"receipt": "3" * 32, "subject": _SUBJECT, "until": _FUTURE}),
    ("a deleted receipt", "DELETE FROM receipt WHERE receipt_id = :receipt", {"receipt": _RECEIPT}),
    (
        "a replaced log entry",
        "INSERT OR REPLACE INTO audit_event SELECT MAX(seq), x'01' FROM audit_event",
        {},
    ),
    ("a gap in the log", "INSERT INTO audit_event SELECT MAX(seq) + 2, x'01' FROM audit_event", {}),
    (
        "a consent where collecting is stopped",
        _LIVE.replace("~self-check", "~stopped"),
        {"receipt": _STOPPED, "subject": _SUBJECT, "until": _FUTURE},
    ),
    (
        "a reference of somebody who is being erased",
        _REFERENCE,
        {"receipt": _ORDERED, "subject": _SUBJECT, "model": "none", "now": _PAST},
    ),
    (
        "a deleted stop",
        "DELETE FROM collection_stop WHERE purpose = '~stopped'",
        {},
    ),
    (
        "a cohort without a second operator",
        "INSERT INTO cohort VALUES (:cohort, 'none', NULL, :now, NULL, 'none')",
        {"cohort": _OTHER, "now": _PAST},
    ),
    (
        "a credential that comes back",
        "UPDATE api_credential SET ended_at = NULL WHERE credential_id = '~self-check'",
        {},
    ),
    (
        "a credential that lasts longer than it was issued for",
        "UPDATE api_credential SET expires_at = :until WHERE credential_id = '~self-check'",
        {"until": _FUTURE},
    ),
    ("a credential that was never issued, as far as anybody sees", "DELETE FROM api_credential", {}),
    (
        "an operator who comes back",
        "UPDATE operator_key SET removed_at = NULL WHERE name = '~self-check'",
        {},
    ),
    (
        "a reference on the server in badge custody",
        _REFERENCE.replace("'~self-check'", ":zone"),
        _OF_BADGE | {"model": "none", "now": _PAST},
    ),
    (
        "a reference whose person holds no half of the key",
        _REFERENCE.replace("'~self-check'", ":zone"),
        _OF_SECRET | {"model": "none", "now": _PAST},
    ),
    (
        "a badge in another custody",
        _BADGE,
        {"receipt": _RECEIPT, "subject": _SUBJECT, "zone": "~self-check", "model": "none", "now": _PAST},
    ),
    (
        "a badge without consent",
        _BADGE,
        {"receipt": "2" * 32, "subject": _SUBJECT, "zone": "~self-check-badge", "model": "none", "now": _PAST},
    ),
    ("a changed badge", "UPDATE badge SET photo_count = photo_count + 1 WHERE purpose = :zone", _OF_BADGE),
    (
        "a commitment in another custody",
        _COMMITMENT,
        {"receipt": _RECEIPT, "subject": _SUBJECT, "zone": "~self-check"},
    ),
    (
        "a request that waits longer and says not why",
        "UPDATE access_request SET due_at = '2000-01-02T00:00:00Z' WHERE request_id = :receipt",
        {"receipt": _RECEIPT},
    ),
    ("a deleted request", "DELETE FROM access_request WHERE request_id = :receipt", {"receipt": _RECEIPT}),
    (
        "a recipient under another name",
        "UPDATE recipient SET name = 'other', removed_at = :now WHERE recipient_id = :receipt",
        {"receipt": _RECEIPT, "now": _PAST},
    ),
    ("a sender who comes back", "UPDATE webhook_sender SET ended_at = NULL WHERE ended_at = :now", {"now": _PAST}),
    ("a deleted sender", "DELETE FROM webhook_sender", {}),
    (
        "a sender's key that lasts longer",
        "UPDATE webhook_sender_key SET expires_at = :until WHERE sender_id = '~~self-check-~~~'",
        {"until": _FUTURE},
    ),
    ("a deleted key of a sender", "DELETE FROM webhook_sender_key", {}),
    ("an external id without consent", _EXTERNAL_ID, {"receipt": "2" * 32, "subject": _SUBJECT}),
    (
        "a changed external id",
        "UPDATE external_id SET digest = randomblob(32) WHERE purpose = '~self-check'",
        {},
    ),
    (
        "a second factor where the person carries the key",
        _FACTOR_ZONE,
        {"zone": "~self-check-two", "custody": "badge", "now": _PAST},
    ),
    ("a second factor without consent", _FACTOR, _OF_FACTOR | {"receipt": "2" * 32, "kind": "pin", "now": _PAST}),
    (
        "a second factor that the zone does not ask for",
        _FACTOR,
        {"receipt": _RECEIPT, "subject": _SUBJECT, "zone": "~self-check", "kind": "pin", "now": _PAST},
    ),
    ("a changed second factor", "UPDATE second_factor SET verifier = randomblob(33) WHERE purpose = :zone", _OF_FACTOR),
    (
        "a sixth try of a PIN",
        "UPDATE second_factor SET failures = 6, tried_at = :now WHERE purpose = :zone",
        _OF_FACTOR | {"now": _PAST},
    ),
    (
        "an endpoint that sends elsewhere",
        "UPDATE webhook_endpoint SET url = 'other' WHERE endpoint_id = '~~self-check-~~~'",
        {},
    ),
    ("a deleted endpoint", "DELETE FROM webhook_endpoint WHERE endpoint_id = '~~self-check-~~~'", {}),
    (
        "a message that says something else",
        "UPDATE webhook_outbox SET body = 'other' WHERE message_id = '~self-check'",
        {},
    ),
    (
        "a message about a person without consent",
        _MESSAGE,
        {"id": "~self-check-too", "receipt": _STOPPED, "now": _PAST},
    ),
    (
        "an answer about a person without consent",
        _ANSWER,
        {"key": bytes([1] * 32), "receipt": _STOPPED, "subject": _SUBJECT},
    ),
    ("a changed answer", "UPDATE kept_answer SET sealed_answer = zeroblob(30) WHERE key_sha256 = zeroblob(32)", {}),
    ("a job that goes on after its end", "UPDATE job SET done = 1 WHERE job_id = :receipt", {"receipt": _RECEIPT}),
    ("a process that goes back", "UPDATE process SET generation = 0 WHERE process_id = '~~self-check-~~~'", {}),
    ("a deleted recipient", "DELETE FROM recipient WHERE recipient_id = :receipt", {"receipt": _RECEIPT}),
    (
        "an opening of the log that is kept longer",
        "UPDATE opening_term SET ends_at = :until WHERE seq = (SELECT MAX(seq) FROM opening_term)",
        {"until": _FUTURE},
    ),
    (
        "an opening of the log that is kept for ever",
        "DELETE FROM opening_term WHERE seq = (SELECT MAX(seq) FROM opening_term)",
        {},
    ),
    ("a deleted log entry", "DELETE FROM audit_event WHERE seq = (SELECT MAX(seq) FROM audit_event)", {}),
)
"""What is tried: a name for the error message, a statement, its parameters."""


def check_refusals(connection: Connection) -> None:
    """Try each forbidden statement; and see that the end of a consent takes its reference along.

    Raises:
        TamperError: the database accepts one; its rules were removed, and nothing may run on it.
    """
    if connection.exec_driver_sql("PRAGMA foreign_keys").scalar() != 1:
        raise TamperError("integrity: the database does not hold its foreign keys; nothing may run on it")
    scene = connection.begin_nested()
    try:
        for statement, parameters in _SCENE:
            connection.execute(text(statement), parameters)
        for what, statement, parameters in FORBIDDEN:
            _must_refuse(connection, what, statement, parameters)
        connection.execute(text("DELETE FROM live_consent WHERE receipt_id = :receipt"), {"receipt": _RECEIPT})
        if connection.scalar(text("SELECT count(*) FROM biometric_reference WHERE purpose = '~self-check'")):
            raise TamperError(_accepted("a reference that outlives its consent"))
    except IntegrityError:
        raise TamperError("integrity: the database refuses what it should accept; restore the data file") from None
    finally:
        scene.rollback()


def _must_refuse(connection: Connection, what: str, statement: str, parameters: Mapping[str, Any]) -> None:
    attempt = connection.begin_nested()
    try:
        connection.execute(text(statement), parameters)
    except IntegrityError:
        return
    finally:
        attempt.rollback()
    raise TamperError(_accepted(what))


def _accepted(what: str) -> str:
    return f"integrity: the database accepts {what}; its rules were removed, restore the data file"
