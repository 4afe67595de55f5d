"""Root key holder: a key service. The record has the wrapped key, and only the service can unwrap it."""

from dataclasses import replace
from typing import Protocol, final

from volens.consent import InputError, UnavailableError
from volens.store.keys.root_key.holder import Slot
from volens.store.keys.root_key.key_record import (
    RECORD_FILE,
    RecordPlace,
    RootKeyRecord,
    read_record,
    write_record,
)
from volens.store.keys.secrets import RootKey


class KeyService(Protocol):
    """Wraps and unwraps root keys. Raises UnavailableError and TamperError as `RootKeyHolder` does."""

    @property
    def copies(self) -> str:
        """Where a copy of a root key that was retired may still be, for certificates."""
        ...

    def wrap(self, *, renewed: bool) -> tuple[RootKey, str]:
        """Make a root key and return it with its wrapped form; `renewed`: under a new version, if versions exist."""
        ...

    def unwrap(self, wrapped: str) -> RootKey:
        """Return the key; the caller wipes it."""
        ...

    def retire(self, wrapped: str) -> None:
        """Make everything older than `wrapped` impossible to unwrap, as far as the service can; idempotent."""
        ...


@final
class WrappedHolder:
    """`RootKeyHolder` over a key service and the record of the wrapped key."""

    def __init__(self, place: RecordPlace, record: RootKeyRecord, service: KeyService) -> None:
        self.url = record.url
        self.copies = service.copies
        self._place = place
        self._empty = replace(record, wrapped=None, wrapped_next=None)
        self._service = service

    def create(self, slot: Slot) -> RootKey:
        """Let the service wrap a new key, and write the wrapped form into the record."""
        record = self._record()
        if slot is Slot.CURRENT and record.wrapped is not None:
            raise InputError(f"{RECORD_FILE} already has a root key; nothing was changed")
        key, wrapped = self._service.wrap(renewed=slot is Slot.NEXT)
        is_current = slot is Slot.CURRENT
        write_record(
            self._place, replace(record, wrapped=wrapped) if is_current else replace(record, wrapped_next=wrapped)
        )
        return key

    def open(self, slot: Slot) -> RootKey | None:
        """Unwrap a key."""
        record = self._record()
        wrapped = record.wrapped if slot is Slot.CURRENT else record.wrapped_next
        if wrapped is None and slot is Slot.CURRENT:
            raise UnavailableError(f"{RECORD_FILE} has no wrapped root key; restore it")
        return None if wrapped is None else self._service.unwrap(wrapped)

    def succeed(self) -> None:
        """Let the service retire everything older than the next key, then delete the wrapped form of the old key."""
        record = self._record()
        if record.wrapped_next is None:
            return
        self._service.retire(record.wrapped_next)
        write_record(self._place, replace(record, wrapped=record.wrapped_next, wrapped_next=None))

    def discard(self) -> None:
        """Do nothing: the wrapped form is deleted with the home."""

    def _record(self) -> RootKeyRecord:
        return read_record(self._place) or self._empty
