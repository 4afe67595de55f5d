"""The capabilities: proof that consent was checked, carried by whoever extracts an embedding."""

from dataclasses import KW_ONLY, InitVar, dataclass
from datetime import datetime
from typing import NoReturn, final

from volens.consent._mint import MINT
from volens.consent.errors import ForgedGrantError
from volens.consent.ids import DataSubjectId, Purpose, ReceiptId


@final
@dataclass(frozen=True, slots=True)
class ConsentGrant:
    """Proof that one receipt was verified and live at `checked_at`. A capability, not a record.

    Only `volens.consent.gate.admit` makes one. Python cannot stop `object.__new__`; the tables can, and do.
    """

    receipt_id: ReceiptId
    subject_id: DataSubjectId
    purpose: Purpose
    checked_at: datetime
    expires_at: datetime
    receipt_sha256: bytes
    _: KW_ONLY
    mint: InitVar[object] = None

    def __post_init__(self, mint: object) -> None:
        """Refuse to exist outside the gate."""
        if mint is not MINT:
            raise ForgedGrantError("only volens.consent.gate.admit() makes a ConsentGrant")

    def __reduce__(self) -> NoReturn:
        """Refuse pickling and copying: the check does not travel."""
        raise TypeError("a ConsentGrant stays in the process that checked it")


@final
@dataclass(frozen=True, slots=True)
class ProbePermit:
    """Leave to compute a probe embedding for one zone. It opens no way to store anything.

    Only `volens.consent.gate.permit_probe` makes one.
    """

    purpose: Purpose
    _: KW_ONLY
    mint: InitVar[object] = None

    def __post_init__(self, mint: object) -> None:
        """Refuse to exist outside the gate."""
        if mint is not MINT:
            raise ForgedGrantError("only volens.consent.gate.permit_probe() makes a ProbePermit")

    def __reduce__(self) -> NoReturn:
        """Refuse pickling and copying: the check does not travel."""
        raise TypeError("a ProbePermit stays in the process that checked it")
