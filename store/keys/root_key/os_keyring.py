"""Root key holder: the OS keyring (Secret Service, KWallet, macOS Keychain, Windows Credential Locker)."""

from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any, Final, final

from volens.consent import InputError, UnavailableError, VolensError
from volens.store.keys.root_key.holder import Slot
from volens.store.keys.root_key.key_file import decode_root_key, encode_root_key
from volens.store.keys.root_key.key_url import KeyringLocation
from volens.store.keys.secrets import Random, RootKey
from volens.store.optional_package import needs


@final
class KeyringHolder:
    """`RootKeyHolder` over one entry of the OS keyring. The next key is in a second entry, ``NAME.next``."""

    copies: Final = "backups of what the OS keyring stores"

    def __init__(self, location: KeyringLocation, name: str, url: str, random: Random) -> None:
        self.url = url
        self._service = location.service
        self._names = {Slot.CURRENT: name, Slot.NEXT: f"{name}.next"}
        self._random = random

    def create(self, slot: Slot) -> RootKey:
        """Make an entry."""
        with self._backend() as keyring:
            if slot is Slot.CURRENT and keyring.get_password(self._service, self._names[slot]) is not None:
                raise InputError(
                    f"the OS keyring already has a root key in {self._where(slot)}; nothing was changed, choose "
                    "another name"
                )
            key = RootKey.generate(self._random)
            keyring.set_password(self._service, self._names[slot], encode_root_key(key).decode("ascii"))
            return key

    def open(self, slot: Slot) -> RootKey | None:
        """Read an entry."""
        with self._backend() as keyring:
            text = keyring.get_password(self._service, self._names[slot])
        if text is not None:
            return decode_root_key(bytearray(text, "utf-8"), f"{self._where(slot)} of the OS keyring")
        if slot is Slot.NEXT:
            return None
        raise UnavailableError(
            f"the OS keyring has no entry {self._where(slot)}; log in as the user who made the site, or restore it"
        )

    def succeed(self) -> None:
        """Replace the old entry, then delete that of the next key."""
        with self._backend() as keyring:
            following = keyring.get_password(self._service, self._names[Slot.NEXT])
            if following is not None:
                keyring.set_password(self._service, self._names[Slot.CURRENT], following)
                keyring.delete_password(self._service, self._names[Slot.NEXT])

    def discard(self) -> None:
        """Delete the entry."""
        with suppress(VolensError), self._backend() as keyring:
            keyring.delete_password(self._service, self._names[Slot.CURRENT])

    def _where(self, slot: Slot) -> str:
        return f"{self._service}/{self._names[slot]}"

    @contextmanager
    def _backend(self) -> Generator[Any]:
        with needs("keyring", "os-keyring", "the OS keyring"):
            import keyring  # noqa: PLC0415  an extra, and slow to import
            from keyring.errors import NoKeyringError  # noqa: PLC0415  the same
        try:
            yield keyring
        except VolensError:
            raise
        except NoKeyringError:
            raise UnavailableError(
                "this machine or session has no OS keyring; unlock one, or keep the root key elsewhere (--root-key)"
            ) from None
        # A backend may raise errors of its platform too; their text may contain the stored value.
        except Exception as error:  # noqa: BLE001
            raise UnavailableError(
                f"the OS keyring failed ({type(error).__name__}); unlock it and try again, nothing was changed"
            ) from None
