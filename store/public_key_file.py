"""``site.pub`` in the home: the site's public keys, for everybody (`volens.audit.verifier_key`)."""

from pathlib import Path
from typing import Final

from volens.audit import VerifierKey
from volens.consent import InputError, TamperError, UnavailableError
from volens.consent.errors import DamagedDataError
from volens.consent.plain_text import plain_text
from volens.store.files.private_files import write_public

PUBLIC_KEY_FILE: Final = "site.pub"


def write_public_key(folder: Path, key: VerifierKey) -> None:
    """Write ``site.pub``, or replace it.

    Raises:
        UnavailableError: the disk refuses.
    """
    write_public(folder / PUBLIC_KEY_FILE, key.text().encode("ascii"), replace=True)


def check_public_key(folder: Path, key: VerifierKey) -> None:
    """Check that ``site.pub`` has no successor that the keyring does not know.

    The file may be behind the keyring, after a kill in a rotation (`volens.store.signing_key`).

    Raises:
        TamperError: the keyring is older than ``site.pub``.
        UnavailableError: the file cannot be read.
    """
    if published_successors(folder, key) > len(key.successions):
        problem = "the keyring is from before the signing key was replaced, as site.pub shows"
        raise DamagedDataError(problem, "keyring")


def published_successors(folder: Path, key: VerifierKey) -> int:
    """Return how many successors ``site.pub`` has; -1 if it is missing or is not of this site.

    Raises:
        UnavailableError: it cannot be read.
    """
    try:
        published = VerifierKey.parse(plain_text((folder / PUBLIC_KEY_FILE).read_bytes(), PUBLIC_KEY_FILE))
    except (FileNotFoundError, InputError, TamperError):
        return -1
    except OSError as error:
        raise UnavailableError(f"cannot read {folder / PUBLIC_KEY_FILE}: {error.strerror}; check the rights") from None
    return len(published.successions) if published.line() == key.line() else -1
