"""The fleet: heartbeats of doors, and the list of nodes and doors with what is wrong with them."""

from datetime import datetime
from typing import Annotated, Final, Self, TypeAlias

from fastapi import APIRouter
from pydantic import BaseModel, BeforeValidator, Field, StrictInt

from volens.consent import parse_time
from volens.service.http.access import Caller, GuardedRoute
from volens.service.http.app_state import SharedState
from volens.service.http.bodies import RequestBody, Time, TimeText
from volens.site_fleet import AlarmKind, Fleet, FleetDoor
from volens.store.programs import DoorReport
from volens.store.programs.clock_exchange import MAX_MS, ClockExchange
from volens.store.programs.processes import RunningProcess

HEARTBEAT_S: Final = 30

router: Final = APIRouter(tags=["fleet"], route_class=GuardedRoute)

_NAME: Final = r"^[a-z0-9][a-z0-9_-]{0,31}$"
_VERSION: Final = r"^[0-9A-Za-z.+_-]{1,32}$"


def _as_integer(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


WholeNumber: TypeAlias = Annotated[StrictInt, BeforeValidator(_as_integer)]
"""An integer as JSON schema has it: 3.0 is one, too; text and booleans are none."""


class HeartbeatTimes(RequestBody):
    """The times of the door's last heartbeat and its answer, in milliseconds since 1970."""

    sent_ms: WholeNumber = Field(description="by the door's clock", ge=0, le=MAX_MS, examples=[1_795_000_000_000])
    arrived_ms: WholeNumber = Field(description="as the answer said", ge=0, le=MAX_MS, examples=[1_795_000_000_021])
    answered_ms: WholeNumber = Field(description="as the answer said", ge=0, le=MAX_MS, examples=[1_795_000_000_022])
    received_ms: WholeNumber = Field(
        description="by the door's clock; better: `sent_ms` and the time that has passed",
        ge=0,
        le=MAX_MS,
        examples=[1_795_000_000_040],
    )


class Heartbeat(RequestBody):
    """What the program at a door says of itself. Nothing about a person."""

    version: str = Field(description="of the program", pattern=_VERSION, examples=["0.1.0"])
    door: str | None = Field(None, description="its name in messages", pattern=_NAME, examples=["front"])
    certificate_until: TimeText | None = Field(
        None, description="when the TLS certificate ends that the service showed it; UTC"
    )
    last: HeartbeatTimes | None = Field(None, description="null with the first heartbeat")


class HeartbeatAnswer(BaseModel):
    """When the heartbeat arrived and was answered, by the clock of the service."""

    arrived_ms: int = Field(examples=[1_795_000_000_021])
    answered_ms: int = Field(examples=[1_795_000_000_022])
    again_after_s: int = Field(description="when to send the next one", examples=[HEARTBEAT_S])


class NodeAnswer(BaseModel):
    """A process that serves the site."""

    node: str = Field(examples=["86c42cc34fe8d921"])
    version: str = Field(examples=["0.1.0"])
    schema_revision: str = Field(description="the newest that its program knows", examples=["baseline"])
    started_at: Time
    seen_at: Time
    generation: int = Field(description="of the store, as it has applied it", examples=[1205])
    behind_s: float = Field(description="0 if it is up to date", examples=[0.0])
    lease_until: datetime | None = Field(description="null: it holds no lease", examples=[None])
    clock_offset_ms: int | None = Field(
        description="how far its clock is ahead of the database server's; null: the database is a file of its machine",
        examples=[3],
    )
    clock_uncertainty_ms: int | None = Field(
        description="half the round trip: the true offset differs by no more than this", examples=[2]
    )
    certificate_until: datetime | None = Field(description="null: it does no TLS", examples=["2027-02-01T00:00:00Z"])
    decided_at: datetime | None = Field(
        description="its last decision about a face, rounded down to a quarter of an hour",
        examples=["2026-12-04T08:15:00Z"],
    )
    alarms: list[AlarmKind]

    @classmethod
    def of(cls, node: RunningProcess, fleet: Fleet) -> Self:
        """Return a node as the answer has it."""
        return cls(
            node=node.process_id,
            version=node.version,
            schema_revision=node.revision,
            started_at=node.started_at,
            seen_at=node.seen_at,
            generation=node.generation,
            behind_s=node.lag.total_seconds(),
            lease_until=fleet.leases.get(node.process_id),
            clock_offset_ms=None if node.offset is None else node.offset.offset_ms,
            clock_uncertainty_ms=None if node.offset is None else node.offset.uncertainty_ms,
            certificate_until=node.certificate_until,
            decided_at=node.decided_at,
            alarms=fleet.alarms_about(node.process_id),
        )


class DoorAnswer(BaseModel):
    """A door: its credential, and what its program said."""

    door: str = Field(description="id of its credential in logs", examples=["86c42cc34fe8d921"])
    label: str = Field(examples=["front door"])
    zone: str | None = Field(examples=["lobby"])
    version: str | None = Field(description="null: it sends frames, and no heartbeats", examples=["0.1.0"])
    seen_at: datetime | None = Field(description="null: it was never heard of", examples=["2026-12-04T08:20:00Z"])
    lease_until: datetime | None = Field(description="null: it holds no lease", examples=[None])
    after_lease: str | None = Field(
        description="what it does then without a connection: 'closed' or 'badge'; null in a zone without leases",
        examples=[None],
    )
    clock_offset_ms: int | None = Field(
        description="how far its clock is ahead of the service's; null: not measured", examples=[12]
    )
    clock_uncertainty_ms: int | None = Field(
        description="half the round trip: the true offset differs by no more than this", examples=[21]
    )
    certificate_until: datetime | None = Field(
        description="when the certificate ends that the service shows it", examples=["2027-02-01T00:00:00Z"]
    )
    decided_at: datetime | None = Field(
        description="its last decision about a face, rounded down to a quarter of an hour",
        examples=["2026-12-04T08:15:00Z"],
    )
    alarms: list[AlarmKind]

    @classmethod
    def of(cls, door: FleetDoor, fleet: Fleet) -> Self:
        """Return a door as the answer has it."""
        said, offset = door.report, None if door.report is None else door.report.offset
        return cls(
            door=door.door_id,
            label=door.name,
            zone=door.purpose,
            version=None if said is None else said.version,
            seen_at=None if said is None else said.seen_at,
            lease_until=door.lease_until,
            after_lease=None if door.after_lease is None else door.after_lease.value,
            clock_offset_ms=None if offset is None else offset.offset_ms,
            clock_uncertainty_ms=None if offset is None else offset.uncertainty_ms,
            certificate_until=None if said is None else said.certificate_until,
            decided_at=None if said is None else said.decided_at,
            alarms=fleet.alarms_about(door.name),
        )


class AlarmAnswer(BaseModel):
    """One thing that is wrong."""

    kind: AlarmKind
    about: str = Field(description="the node or door; the versions, if they differ", examples=["front door"])
    detail: str = Field(examples=["the clock of door front door differs from that of the service by more than 5 s"])


class FleetAnswer(BaseModel):
    """The nodes and doors of the site."""

    generation: int = Field(description="of the store now", examples=[1205])
    nodes: list[NodeAnswer]
    doors: list[DoorAnswer]
    alarms: list[AlarmAnswer]

    @classmethod
    def of(cls, fleet: Fleet) -> Self:
        """Return the fleet as the answer has it."""
        return cls(
            generation=fleet.generation,
            nodes=[NodeAnswer.of(one, fleet) for one in fleet.nodes],
            doors=[DoorAnswer.of(one, fleet) for one in fleet.doors],
            alarms=[AlarmAnswer(kind=one.kind, about=one.about, detail=one.sentence()) for one in fleet.alarms()],
        )


@router.get("/fleet", summary="Nodes and doors, and what is wrong with them")
async def read_fleet(app_state: SharedState) -> FleetAnswer:
    """Return each process that serves the site and each door. They say this of themselves; it proves nothing."""
    return FleetAnswer.of(await app_state.desk_pool.run(app_state.site.fleet))


@router.post("/doors/heartbeat", summary="Say that a door's program is alive")
async def report_door(app_state: SharedState, caller: Caller, said: Heartbeat) -> HeartbeatAnswer:
    """Note version, clock and certificate of the caller's door; it is written within five seconds."""
    arrived = app_state.clock_ms()
    offset = None if said.last is None else ClockExchange(**said.last.model_dump()).offset()
    app_state.sightings.note(
        DoorReport(
            caller.caller_id,
            app_state.site.now(),
            door=said.door,
            purpose=caller.purpose,
            version=said.version,
            offset_ms=None if offset is None else offset.offset_ms,
            uncertainty_ms=None if offset is None else offset.uncertainty_ms,
            certificate_until=None if said.certificate_until is None else parse_time(said.certificate_until),
        )
    )
    return HeartbeatAnswer(arrived_ms=arrived, answered_ms=app_state.clock_ms(), again_after_s=HEARTBEAT_S)
