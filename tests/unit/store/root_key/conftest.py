"""Real holders of root keys: a file, a backend of `keyring`, a Transit server, and moto's KMS."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import keyring
import pytest
from keyring.backends.fail import Keyring as NoKeyring
from keyrings.alt.file import PlaintextKeyring
from moto import mock_aws
from transit import TOKEN, Transit, transit

AWS_SECRET = "canary-secret-of-the-test"  # noqa: S105  made up, to be searched for
REGION = "eu-west-3"


@dataclass
class Held:
    """A holder of a root key, and its failures.

    Attributes:
        stop, start: the holder goes away, and comes back.
        lose: the key is gone for good.
        down, lost: the error then.
        canaries: credentials, which must not be seen anywhere.
    """

    url: str
    stop: Callable[[], object]
    start: Callable[[], object]
    lose: Callable[[], object]
    down: str
    lost: str
    canaries: tuple[str, ...] = ()


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[Transit]:
    """A Transit server, and the token for it in the environment."""
    for name in [name for name in os.environ if name.startswith("VAULT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    with transit() as server:
        yield server


@pytest.fixture
def os_keyring(tmp_path: Path) -> Iterator[Path]:
    """A backend of the OS keyring with a file of its own, which it returns."""
    before, backend = keyring.get_keyring(), PlaintextKeyring()  # type: ignore[no-untyped-call]
    backend.file_path = str(tmp_path / "os-keyring" / "entries.cfg")
    keyring.set_keyring(backend)
    yield Path(backend.file_path)
    keyring.set_keyring(before)


@pytest.fixture
def kms(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A KMS key of moto; its ARN."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", AWS_SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    with mock_aws(config={"core": {"mock_credentials": False}}):
        yield boto3.client("kms", region_name=REGION).create_key()["KeyMetadata"]["Arn"]


@pytest.fixture(params=["file", "keyring", "vault", "aws-kms"])
def held(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Held:
    """Each holder in turn."""
    match request.param:
        case "file":
            path, away = tmp_path / "medium" / "root.key", tmp_path / "away"
            path.parent.mkdir()
            return Held(
                f"file:{path}",
                lambda: path.parent.rename(away),
                lambda: away.rename(path.parent),
                lambda: shutil.rmtree(path.parent),
                "cannot read .*root.key: No such file",
                "cannot read .*root.key: No such file",
            )
        case "keyring":
            entries: Path = request.getfixturevalue("os_keyring")
            backend = keyring.get_keyring()
            return Held(
                "keyring:volens-test/door",
                lambda: keyring.set_keyring(NoKeyring()),  # type: ignore[no-untyped-call]
                lambda: keyring.set_keyring(backend),
                entries.unlink,
                "has no OS keyring",
                "has no entry volens-test/door",
            )
        case "vault":
            server: Transit = request.getfixturevalue("vault")
            return Held(
                server.url(),
                lambda: setattr(server, "sealed", True),
                lambda: setattr(server, "sealed", False),
                lambda: server.keys.pop("volens"),
                "is sealed or down; unseal it",
                "has no key 'volens'",
                (TOKEN,),
            )
    arn: str = request.getfixturevalue("kms")
    variable = "AWS_ENDPOINT_URL_KMS"

    def lose() -> None:
        # AWS deletes a key after a week at the earliest; this is moto's own state.
        from moto.kms.models import kms_backends  # noqa: PLC0415  slow to import

        del kms_backends["123456789012"][REGION].keys[arn.rpartition("/")[2]]

    return Held(
        f"aws-kms:{arn}",
        lambda: monkeypatch.setenv(variable, "http://127.0.0.1:9"),
        lambda: monkeypatch.delenv(variable),
        lose,
        "AWS KMS in eu-west-3 cannot be reached",
        "has no such key, or it is disabled",
        (AWS_SECRET,),
    )
