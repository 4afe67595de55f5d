"""Credentials: shown once, stored as a digest, shortened or revoked, never changed."""

import pickle

import pytest
from house import House
from sqlalchemy.exc import IntegrityError

from volens.consent import InputError, RefusedError
from volens.store.programs import CredentialToken, Role


def test_a_token_is_valid_for_the_role_and_zone_it_was_issued_for(house: House) -> None:
    credential, token = house.site.programs.credentials.issue(label=" left door ", role=Role.DOOR, zone="lobby")

    assert house.site.programs.credentials.check(token.reveal()) == credential
    assert (credential.label, credential.role, credential.purpose) == ("left door", Role.DOOR, "lobby")
    assert [one.credential_id for one in house.site.programs.credentials.list()] == [credential.credential_id]


@pytest.mark.parametrize("text", ["", "volens_", "volens_0_0", "x" * 66, f"volens_{'0' * 16}_{'ä' * 43}"])
def test_a_malformed_token_is_refused_and_not_repeated(house: House, text: str) -> None:
    with pytest.raises(RefusedError, match="not in force") as refused:
        house.site.programs.credentials.check(text)
    assert not text or text not in str(refused.value)
    with pytest.raises(InputError):
        CredentialToken.parse(text)


def test_unknown_wrong_revoked_and_expired_tokens_get_the_same_answer(house: House) -> None:
    credentials = house.site.programs.credentials
    ended, ended_token = credentials.issue(label="a", role=Role.AUDITOR)
    _, short = credentials.issue(label="b", role=Role.AUDITOR, valid_days=1)
    kept, _ = credentials.issue(label="c", role=Role.AUDITOR)
    credentials.end(ended.credential_id)
    credentials.end(ended.credential_id)
    house.clock.move(days=1)
    shown = [
        ended_token.reveal(),
        short.reveal(),
        f"volens_{kept.credential_id}_{'A' * 43}",
        f"volens_{'0' * 16}_{'A' * 43}",
    ]
    said = set()
    for one in shown:
        with pytest.raises(RefusedError) as refused:
            credentials.check(one)
        said.add(str(refused.value))
    assert len(said) == 1


def test_a_rotated_credential_ends_after_its_grace_period(house: House) -> None:
    credentials = house.site.programs.credentials
    old, old_token = credentials.issue(label="door", role=Role.DOOR, zone="lobby")

    new, new_token = credentials.rotate(old.credential_id, grace_hours=2)

    assert (new.label, new.role, new.purpose) == (old.label, old.role, old.purpose)
    house.clock.move(hours=1)
    credentials.check(old_token.reveal())
    house.clock.move(hours=1)
    with pytest.raises(RefusedError):
        credentials.check(old_token.reveal())
    credentials.check(new_token.reveal())
    with pytest.raises(InputError, match="no longer in force"):
        credentials.rotate(old.credential_id)


def test_a_grace_period_never_prolongs_a_credential(house: House) -> None:
    old, token = house.site.programs.credentials.issue(label="x", role=Role.DESK, valid_days=1)
    house.site.programs.credentials.rotate(old.credential_id, grace_hours=720)
    house.clock.move(days=1)
    with pytest.raises(RefusedError):
        house.site.programs.credentials.check(token.reveal())


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"role": Role.DOOR}, "a door without a zone"),
        ({"role": Role.AUDITOR, "zone": "lobby"}, "for the whole site"),
        ({"role": Role.DOOR, "zone": "nowhere"}, "zone"),
        ({"role": Role.DESK, "label": " "}, "label of 0 characters"),
        ({"role": Role.DESK, "label": "a\nb"}, "LINE FEED"),
        ({"role": Role.DESK, "valid_days": 0}, "got 0 days; expected 1 to 825"),
        ({"role": Role.DESK, "valid_days": 826}, "got 826 days"),
    ],
)
def test_an_invalid_credential_is_not_issued(house: House, fields: dict[str, object], said: str) -> None:
    before = house.site.log.verify().size
    with pytest.raises(InputError, match=said):
        house.site.programs.credentials.issue(**({"label": "x"} | fields))  # type: ignore[arg-type]
    assert house.site.log.verify().size == before


def test_the_secret_of_a_credential_is_stored_nowhere(house: House) -> None:
    _, token = house.site.programs.credentials.issue(label="x", role=Role.OPERATOR)
    secret = token.reveal().rpartition("_")[2].encode()
    house.site.close()

    assert secret.decode() not in repr(token)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(token)
    for file in house.site.home.rglob("*"):
        assert not file.is_file() or secret not in file.read_bytes()
    house.reopen()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE api_credential SET expires_at = '2999-01-01T00:00:00Z'",
        "UPDATE api_credential SET role = 'operator'",
        "UPDATE api_credential SET token_mac = zeroblob(32)",
        "DELETE FROM api_credential",
        (
            "INSERT INTO api_credential VALUES ('x', 'x', 'door', NULL, randomblob(32), 0, "
            "'2026-01-01T00:00:00Z', '2027-01-01T00:00:00Z', NULL, NULL, NULL)"
        ),
        (
            "INSERT INTO api_credential VALUES ('x', 'x', 'auditor', 'lobby', randomblob(32), 0, "
            "'2026-01-01T00:00:00Z', '2027-01-01T00:00:00Z', NULL, NULL, NULL)"
        ),
        (
            "INSERT INTO api_credential VALUES ('x', 'x', 'door', 'lobby', randomblob(32), 0, "
            "'2026-01-01T00:00:00Z', '2027-01-01T00:00:00Z', '2026-01-02T00:00:00Z', NULL, NULL)"
        ),
    ],
)
def test_the_database_refuses_what_the_types_refuse(house: House, statement: str) -> None:
    house.site.programs.credentials.issue(label="x", role=Role.AUDITOR)
    with pytest.raises(IntegrityError), house.store.write() as tx:
        tx.connection.exec_driver_sql(statement)


def test_every_change_is_logged(house: House) -> None:
    credential, _ = house.site.programs.credentials.issue(label="x", role=Role.AUDITOR)
    new, _ = house.site.programs.credentials.rotate(credential.credential_id)
    house.site.programs.credentials.end(new.credential_id)
    kinds = house.site.log.verify().kinds
    assert [kinds[f"credential.{act}"] for act in ("issued", "rotated", "ended")] == [1, 1, 1]
