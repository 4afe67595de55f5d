"""Moving a site to a server or back: what is proved about the copy, besides its rows and its log."""

from collections.abc import Callable
from pathlib import Path

from volens.audit import VerifierKey
from volens.consent import InputError, TamperError
from volens.erase.proof import verify_certificate
from volens.erase.proof.certificate import CERTIFICATE
from volens.site_status import check_rules
from volens.store import Clock, SiteDatabases, Store
from volens.store.backup import root_at
from volens.store.files import read_private
from volens.store.keys import Random
from volens.store.log import CERTIFICATES
from volens.store.moving import Moved, Proved, move_site, open_all


def move_to(
    home: Path,
    databases: SiteDatabases | None,
    *,
    clock: Clock,
    random: Random,
    progress: Callable[[int, int], None] | None = None,
) -> Moved:
    """Move the databases of a site to a server, or with None into files of its home; see `move_site`."""
    silent: Callable[[int, int], None] = lambda _done, _total: None  # noqa: E731  one line
    return move_site(home, databases, clock=clock, random=random, prove=prove_copy, progress=progress or silent)


def prove_copy(store: Store) -> Proved:
    """Prove that a copy of a site is one.

    1. It refuses everything that it must refuse, and is sound.
    2. Every seal opens, and every embedding that opens without the person.
    3. The certificates in the home are of its log.

    Raises:
        TamperError: any of them does not hold.
    """
    # 1.
    check_rules(store)
    # 2.
    opened = open_all(store)
    # 3.
    return Proved(*opened, certificates=_certificates(store, store.verifier_key))


def _certificates(store: Store, key: VerifierKey) -> int:
    """Return how many files are certificates of the log. A file that is no certificate of the site is left out."""
    count = 0
    for path in sorted((store.folder / CERTIFICATES).glob("*.json")):
        try:
            certificate = verify_certificate(read_private(path, CERTIFICATE.max_bytes), key)
        except (InputError, TamperError):
            continue
        if root_at(store, certificate.checkpoint) != certificate.checkpoint.root:
            raise TamperError(
                f"integrity: the certificate {path.name} is not of this log; nothing was changed; run 'volens doctor'"
            )
        count += 1
    return count
