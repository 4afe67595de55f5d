"""Interruptions in this process, as by Ctrl-C or a full disk, at moments of an erasure or of a key rotation.

For processes that are killed see `dying`, for restores `restoring`.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from volens.store import Store, Transaction
from volens.store.keys import Keyring


@contextmanager
def interrupted_after_stop() -> Iterator[None]:
    """Interrupt erasures when their consents have ended, before a grant secret is destroyed (step 2)."""

    def interrupt(*_: object) -> int:
        raise KeyboardInterrupt

    with patch("volens.erase.procedure.destroy_secrets", interrupt):
        yield


@contextmanager
def before_consents_end(happened: Callable[[], None]) -> Iterator[None]:
    """Call back inside each transaction that ends consents, before its commit; if that raises, they stay in force."""
    log_all = Transaction.log_all

    def watched(self: Transaction, kind: str, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401  as `log_all`
        if kind == "consent.ended":
            happened()
        return log_all(self, kind, *arguments, **options)

    with patch.object(Transaction, "log_all", watched):
        yield


def interrupt() -> None:
    """Raise what Ctrl-C raises."""
    raise KeyboardInterrupt


@contextmanager
def after_each_write(of: type[Store | Keyring], happened: Callable[[], None]) -> Iterator[None]:
    """Call back after each committed write of the data file (`Store`) or of the keyring (`Keyring`)."""
    write: Any = of.write

    @contextmanager
    def watched(self: object, *, wait: bool = True) -> Generator[Any]:
        with write(self, wait=wait) as writing:
            yield writing
        happened()

    with patch.object(of, "write", watched):
        yield
