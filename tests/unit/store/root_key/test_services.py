"""Errors of Vault, KMS and the OS keyring."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from botocore.exceptions import ClientError
from command_line import exit_code_of
from house import House, no_models
from transit import TOKEN, Transit, transit

from volens import Site
from volens.consent import InputError, TamperError, UnavailableError, VolensError
from volens.store import ask_root_key_holder
from volens.store.keys.root_key import RECORD_FILE


@pytest.fixture
def behind_vault(vault: Transit, tmp_path: Path) -> Iterator[House]:
    house = House.build(tmp_path / "home", root_key=vault.url())
    yield house
    house.site.close()


def refusal(home: Path) -> VolensError:
    with pytest.raises(VolensError) as caught:
        ask_root_key_holder(home)
    assert "\n" not in str(caught.value)
    assert TOKEN not in repr(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


def test_a_wrong_or_missing_token_is_reported_and_never_quoted(
    behind_vault: House, vault: Transit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = behind_vault.site.home
    monkeypatch.setenv("VAULT_TOKEN", "hvs.wrong-canary")
    error = refusal(home)
    assert exit_code_of(error) == 6
    assert "denied; the token must be valid" in str(error)
    assert "wrong-canary" not in repr(error)

    monkeypatch.delenv("VAULT_TOKEN")
    monkeypatch.setenv("HOME", str(tmp_path))
    asked = len(vault.asked)
    assert "there is no token for" in str(refusal(home))
    assert len(vault.asked) == asked

    (tmp_path / ".vault-token").write_text(f"{TOKEN}\n")
    assert ask_root_key_holder(home).startswith("vault:")


def test_a_token_file_and_a_namespace_of_the_url_are_used(
    vault: Transit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("VAULT_TOKEN")
    token = tmp_path / "token"
    token.write_text(TOKEN)
    url = vault.url(token_file=str(token), namespace="doors")
    House.build(tmp_path / "home", root_key=url).site.close()
    assert {namespace for _, _, namespace in vault.asked} == {"doors"}


def test_a_request_to_a_slow_server_times_out(
    behind_vault: House, vault: Transit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("volens.store.keys.root_key.vault_transit.TIMEOUT_S", 0.05)
    vault.delay_s = 0.4
    error = refusal(behind_vault.site.home)
    assert "did not answer within 0.05 seconds" in str(error)
    assert exit_code_of(error) == 6


def test_a_redirect_is_not_followed_with_the_token(behind_vault: House, vault: Transit) -> None:
    with transit() as other:
        vault.redirect_to = other.address
        error = refusal(behind_vault.site.home)
        assert other.asked == []
    assert "redirects to another address, and the token is not sent there" in str(error)
    assert exit_code_of(error) == 6


@pytest.mark.parametrize("garbage", [b"", b"no json", b"[]", b"{}", b'{"data": {"plaintext": "AAAA"}}', b'{"data": 1}'])
def test_a_malformed_answer_is_reported_in_a_sentence(behind_vault: House, vault: Transit, garbage: bytes) -> None:
    vault.garbage = garbage
    assert exit_code_of(refusal(behind_vault.site.home)) in {4, 6}


def test_an_unreachable_server_and_a_missing_mount_are_reported(behind_vault: House, vault: Transit) -> None:
    home = behind_vault.site.home
    record = (home / RECORD_FILE).read_text()
    (home / RECORD_FILE).write_text(record.replace("/transit/", "/other/"))
    assert "has no Transit engine at 'other'" in str(refusal(home))
    (home / RECORD_FILE).write_text(record.replace(vault.address, "http://127.0.0.1:9"))
    assert "http://127.0.0.1:9 cannot be reached" in str(refusal(home))


def test_a_changed_wrapped_key_does_not_unwrap(behind_vault: House, vault: Transit) -> None:
    home = behind_vault.site.home
    record = json.loads((home / RECORD_FILE).read_text())
    box = record["wrapped"]
    record["wrapped"] = box[:-8] + ("AAAA" if box[-8:-4] != "AAAA" else "BBBB") + box[-4:]
    (home / RECORD_FILE).write_text(json.dumps(record))
    assert exit_code_of(refusal(home)) == 4
    # Another Transit key by the same name: the server was installed again.
    record["wrapped"] = box
    (home / RECORD_FILE).write_text(json.dumps(record))
    del vault.keys["volens"]
    vault.url()
    assert "does not unwrap this root key" in str(refusal(home))


def test_a_rotation_leaves_the_newest_version_of_the_transit_key_alone(behind_vault: House, vault: Transit) -> None:
    home = behind_vault.site.home
    old = (home / RECORD_FILE).read_bytes()
    behind_vault.site.keys.rotate(root=True)
    assert set(vault.keys["volens"].versions) == {2}
    assert "wrapped_next" not in json.loads((home / RECORD_FILE).read_text())

    (home / RECORD_FILE).write_bytes(old)
    error = refusal(home)
    assert "no longer unwraps this version of the root key" in str(error)
    assert exit_code_of(error) == 6


def test_the_root_key_is_never_in_an_address_and_sent_to_transit_only(behind_vault: House, vault: Transit) -> None:
    behind_vault.site.keys.rotate(root=True)
    assert {path.rpartition("/")[0] for _, path, _ in vault.asked} <= {
        "/v1/transit/encrypt",
        "/v1/transit/decrypt",
        "/v1/transit/keys/volens",
    }


def test_missing_aws_credentials_or_region_are_named(kms: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    House.build(home, root_key=f"aws-kms:{kms}").site.close()
    with pytest.raises(UnavailableError, match="AWS KMS needs a region"):
        House.build(tmp_path / "other", root_key="aws-kms:alias/volens")
    assert not (tmp_path / "other").exists()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    error = refusal(home)
    assert "there are no credentials for AWS KMS in eu-west-3" in str(error)
    assert exit_code_of(error) == 6


@pytest.mark.parametrize(
    ("code", "words", "exit_code"),
    [
        ("AccessDeniedException", "denied the request; the credentials must allow", 6),
        ("DisabledException", "has no such key, or it is disabled", 6),
        ("ThrottlingException", "failed (ThrottlingException); try again", 6),
        ("InvalidCiphertextException", "does not unwrap this root key", 4),
    ],
)
def test_an_error_of_aws_is_translated_and_not_quoted(
    kms: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, words: str, exit_code: int
) -> None:
    home = tmp_path / "home"
    House.build(home, root_key=f"aws-kms:{kms}").site.close()

    def refuse(_self: object, verb: str, _arguments: object) -> None:
        raise ClientError({"Error": {"Code": code, "Message": "User: canary-account may not"}}, verb)

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", refuse)
    error = refusal(home)
    assert words in str(error)
    assert "canary-account" not in repr(error)
    assert exit_code_of(error) == exit_code


def test_an_error_of_an_os_keyring_backend_is_not_quoted(
    os_keyring: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    House.build(home, root_key="keyring:").site.close()
    assert os_keyring.is_file()

    def fail(*_: object) -> None:
        raise OSError("canary of what was stored")

    monkeypatch.setattr(type(keyring.get_keyring()), "get_password", fail)
    error = refusal(home)
    assert str(error) == "the OS keyring failed (OSError); unlock it and try again, nothing was changed"


def test_an_entry_that_is_not_a_root_key_is_tampering(os_keyring: Path, tmp_path: Path) -> None:
    house = House.build(tmp_path / "home", root_key="keyring:doors/main")
    house.site.close()
    keyring.set_password("doors", "main", "CANARY")
    error = refusal(tmp_path / "home")
    assert isinstance(error, TamperError)
    assert "CANARY" not in str(error)
    assert os_keyring.is_file()


def test_the_entry_of_another_key_does_not_open_the_keyring(os_keyring: Path, tmp_path: Path) -> None:
    assert os_keyring.parent.name == "os-keyring"
    for seed, name in enumerate(("one", "two")):
        House.build(tmp_path / name, seed=seed, root_key=f"keyring:doors/{name}").site.close()
    stolen = keyring.get_password("doors", "two")
    assert stolen is not None
    keyring.set_password("doors", "one", stolen)
    with pytest.raises(TamperError, match="does not open with this root key"):
        Site.open(tmp_path / "one", load_extractor=no_models)


@pytest.mark.parametrize(
    ("package", "url"), [("keyring", "keyring:"), ("hvac", "vault:http://localhost/t/k"), ("boto3", "aws-kms:alias/k")]
)
def test_a_missing_package_is_named_with_its_extra(
    package: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UnavailableError, match=rf"needs the package '{package}'.*pip install 'volens\["):
        House.build(tmp_path / "home", root_key=url)
    assert not any(tmp_path.iterdir())


def test_an_invalid_url_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        House.build(tmp_path / "home", root_key="vault:https://a:b@c/d/e")
    assert not any(tmp_path.iterdir())
