"""One door's news for a broker, if there is one: what is worth a message, and with what in it."""

from collections.abc import Callable
from datetime import datetime
from typing import final

from volens.consent import format_time
from volens.service.door.door_events import Decided
from volens.service.door.door_state import Standing
from volens.service.door.mqtt_bridge import Bridge
from volens.service.door.mqtt_messages import Health, Topics
from volens.store import utc_now


@final
class Broadcast:
    """Tells a broker; without one, nobody. Never waits, but for `end`."""

    def __init__(
        self,
        topics: Topics,
        bridge: Bridge | None,
        *,
        with_subject_ids: bool = False,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Tell of one door; of who was recognised only if that was asked for."""
        self._topics = topics
        self._bridge = bridge
        self._with_subject_ids = with_subject_ids
        self._clock = clock

    def start(self) -> None:
        """Begin to connect."""
        if self._bridge is not None:
            self._bridge.start()

    def state(self, standing: Standing) -> None:
        """Tell how the door stands."""
        if self._bridge is not None:
            self._bridge.tell(self._topics.state(standing, self._now()))

    def health(self, health: Health) -> None:
        """Tell how it does."""
        if self._bridge is not None:
            self._bridge.tell(self._topics.health(health, self._now()))

    def decision(self, decided: Decided) -> None:
        """Tell what was decided."""
        if self._bridge is not None:
            with_id = self._with_subject_ids
            self._bridge.tell(self._topics.decision(decided, self._now(), with_subject_id=with_id))

    @property
    def is_connected(self) -> bool | None:
        """Whether the broker is there; None if there is to be none."""
        return None if self._bridge is None else self._bridge.is_connected

    @property
    def dropped(self) -> int:
        """How many messages the broker was away too long for."""
        return 0 if self._bridge is None else self._bridge.dropped

    def end(self) -> None:
        """Tell that nobody tells any more."""
        if self._bridge is not None:
            self._bridge.end()

    def _now(self) -> str:
        return format_time(self._clock())
