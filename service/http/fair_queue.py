"""Fair queue: calls wait by zone and caller, and each zone, and in it each caller, has its turn (round robin).

A caller that sends many large frames makes itself wait, not others:

1. Zones take turns, and in each zone its callers take turns. A caller's own calls keep their order. A zone whose call
   runs has had its turn: another zone that comes meanwhile is next.
2. At most `per_caller` calls of one caller run at a time; the others wait, even if a thread is free.
3. If there is no room, the newest call of the caller with the longest queue can be dropped for the call of a caller
   with a shorter one (longest queue drop). So one caller cannot fill the queue for all.

Source: Nagle, "On Packet Switches With Infinite Storage" (RFC 970, 1985), for the turns; Suter and others, "Buffer
Management Schemes for Supporting TCP in Gigabit Routers with Per-Flow Queueing" (1999), for 3.
"""

from collections import Counter, OrderedDict, deque
from typing import Generic, NamedTuple, TypeVar, final

Call = TypeVar("Call")


class Lane(NamedTuple):
    """Whose call it is. Calls of no zone, or of no caller, share one."""

    zone: str = ""
    caller: str = ""


@final
class FairQueue(Generic[Call]):
    """The calls that wait. Not thread-safe. Cost of `take`: the callers that wait, in the worst case."""

    def __init__(self, per_caller: int | None = None) -> None:
        """Let `per_caller` calls of one caller run at a time; None for any number."""
        self._per_caller = per_caller
        self._zones: OrderedDict[str, OrderedDict[str, deque[Call]]] = OrderedDict()
        self._running = Counter[str]()
        self._running_zones = Counter[str]()
        # The turn that a zone has next, if it waits or runs; a zone that comes begins with the present one.
        self._turns: dict[str, int] = {}
        self._turn = 0

    def put(self, lane: Lane, call: Call) -> None:
        """Add a call at the end of its lane."""
        self._turns.setdefault(lane.zone, self._turn)
        self._zones.setdefault(lane.zone, OrderedDict()).setdefault(lane.caller, deque()).append(call)

    def drop_for(self, lane: Lane) -> Call | None:
        """Remove and return the newest call of the longest lane, if this lane is shorter; else None."""
        lanes = [(len(its), Lane(zone, one)) for zone, callers in self._zones.items() for one, its in callers.items()]
        count, longest = max(lanes, default=(0, lane))
        own = next((length for length, one in lanes if one == lane), 0)
        # 1 more, or two callers would drop each other's calls in turn.
        if count <= own + 1:
            return None
        call = self._zones[longest.zone][longest.caller].pop()
        self._forget_if_empty(longest)
        return call

    def take(self) -> tuple[Lane, Call] | None:
        """Take the call whose turn it is; it runs until `done`. None: no call waits that may run now."""
        for zone in sorted(
            self._zones, key=self._turns.__getitem__
        ):  # those of one turn in the order in which they came
            callers = self._zones[zone]
            for caller, calls in callers.items():
                if self._per_caller is not None and caller and self._running[caller] >= self._per_caller:
                    continue
                call = calls.popleft()
                self._zones.move_to_end(zone)
                self._turn = max(self._turn, self._turns[zone])
                self._turns[zone] += 1
                self._running_zones[zone] += 1
                callers.move_to_end(caller)
                lane = Lane(zone, caller)
                self._forget_if_empty(lane)
                self._running[caller] += 1
                return lane, call
        return None

    def done(self, lane: Lane) -> None:
        """Note that a call that was taken has ended."""
        self._running[lane.caller] -= 1
        if not self._running[lane.caller]:
            del self._running[lane.caller]
        self._running_zones[lane.zone] -= 1
        if not self._running_zones[lane.zone]:
            del self._running_zones[lane.zone]
            self._forget_turn_if_gone(lane.zone)

    def _forget_if_empty(self, lane: Lane) -> None:
        callers = self._zones[lane.zone]
        if not callers[lane.caller]:
            del callers[lane.caller]
        if not callers:
            del self._zones[lane.zone]
            self._forget_turn_if_gone(lane.zone)

    def _forget_turn_if_gone(self, zone: str) -> None:
        if zone not in self._zones and zone not in self._running_zones:
            del self._turns[zone]
