"""`Installation`: the store, the galleries and the home folder of one open site, which travel together."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import final

from volens.index.gallery import Galleries
from volens.store import Store


@final
@dataclass(frozen=True, slots=True)
class Installation:
    """One open site. `Site.installation` holds it; procedures that enroll, identify or erase take it as an argument.

    Attributes:
        store: the data file and the keyring.
        galleries: in the memory of this process; each is built when it is first searched.
        home: the folder that holds all files of the site. An erasure searches every file below it.
    """

    store: Store
    galleries: Galleries
    home: Path

    def now(self) -> datetime:
        """Return the time of the site's clock: UTC, whole seconds."""
        return self.store.now()

    def close(self) -> None:
        """Zero the galleries and the keys, and close the files."""
        self.galleries.close()
        self.store.close()
