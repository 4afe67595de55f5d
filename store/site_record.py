"""What the data file states about its site."""

from dataclasses import dataclass
from datetime import datetime
from typing import final

from volens.consent.receipt import Controller


@final
@dataclass(frozen=True, slots=True)
class SiteRecord:
    """What the data file states about its site."""

    controller: Controller
    public_key: bytes
    created_at: datetime
