"""Packages that only one kind of holder needs."""

from collections.abc import Generator
from contextlib import contextmanager

from volens.consent import UnavailableError


@contextmanager
def needs(package: str, extra: str, what: str) -> Generator[None]:
    """Say which extra to install where the import inside the `with` fails.

    Raises:
        UnavailableError: the package is not there.
    """
    try:
        yield
    except ImportError:
        raise UnavailableError(
            f"{what} needs the package {package!r}, which does not import; install the extra: "
            f"pip install 'volens[{extra}]'"
        ) from None
