"""DANGER: the mint. Whoever imports MINT can make a capability without any consent.

Only `volens.consent.gate` and the capability types in `volens.consent.grant` may import this module; an import contract
("protected") and a test hold it.
"""

from typing import Final

MINT: Final = object()
