"""Optional packages (extras) that only one kind of holder needs."""

from collections.abc import Generator
from contextlib import contextmanager

from volens.consent import UnavailableError


@contextmanager
def needs(package: str, extra: str, what: str) -> Generator[None]:
    """Name the extra to install if an import inside the `with` fails.

    Raises:
        UnavailableError: the package cannot be imported.
    """
    try:
        yield
    except ImportError:
        raise UnavailableError(
            f"{what} needs the package {package!r}, which does not import; install the extra: "
            f"pip install 'volens[{extra}]'"
        ) from None
