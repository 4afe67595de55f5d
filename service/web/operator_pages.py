"""Pages of the operator: what to act on, zones and doors, health, keys and backups, staff. No names or faces.

The pages read the site; their buttons call the operations under ``/v1``, which have the operator's role.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Self, final

from fastapi import APIRouter, Request, Response

from volens.consent import Custody
from volens.consent.zone import AfterLease
from volens.identify.calibration import LEAST_PEOPLE
from volens.service.http.app_state import AppState, SharedState
from volens.service.web.duration_chart import duration_chart
from volens.service.web.operator_problems import SiteFacts, find_problems
from volens.service.web.page_response import render, zone_name
from volens.service.web.score_chart import score_chart
from volens.service.web.staff_session import OperatorPageRoute, Staff
from volens.service.zone_sizes import largest_searched_zone, missed_per_100
from volens.site_fleet import AlarmKind, Fleet, FleetDoor
from volens.store.programs import Role
from volens.store.programs.clock_exchange import ClockOffset
from volens.store.programs.processes import RunningProcess
from volens.store.programs.staff import ADDED_ON_PAGES

ACTIVITY: Final = timedelta(days=1)

router: Final = APIRouter(route_class=OperatorPageRoute)


@router.get("/operator", name="operator_page")
async def operator_page(request: Request, app_state: SharedState, staff: Staff) -> Response:
    """Show what to act on now."""

    def page() -> Response:
        facts = site_facts(app_state)
        people = sum(one.live_consents for one in facts.status.zones)
        problems, zones = find_problems(facts), len(facts.status.zones)
        return _page(request, "overview", staff, problems=problems, names=facts.titles, people=people, zones=zones)

    return await app_state.page_pool.run(page)


@router.get("/operator/zones", name="operator_zones_page")
async def zones_page(request: Request, app_state: SharedState, staff: Staff) -> Response:
    """Show the zones, and the doors and kiosks of each."""

    def page() -> Response:
        site = app_state.site
        now, programs = site.now(), site.programs
        doors = [one for one in programs.credentials.list() if one.role is Role.DOOR and one.expires_at > now]
        largest = largest_searched_zone()
        status = site.status().zones
        compared = {one.zone: one for one in site.offers.compare_each([one.zone.purpose for one in status])}
        zones = [
            {
                "zone": one.zone,
                "name": zone_name(one.zone),
                "compared": compared[one.zone.purpose],
                "people": one.live_consents,
                "missed": missed_per_100(one.live_consents) if one.zone.custody is Custody.OPERATOR else None,
                "largest": largest if one.zone.custody is Custody.OPERATOR else None,
                "stop": site.zones.paused(one.zone.purpose),
                "doors": [door for door in doors if door.purpose == one.zone.purpose],
            }
            for one in status
        ]
        activity = programs.decisions.activity(now - ACTIVITY)
        has_address = site.defaults.public_url() is not None
        return _page(request, "zones", staff, zones=zones, activity=activity, now=now, has_address=has_address)

    return await app_state.page_pool.run(page)


@router.get("/operator/health", name="operator_health_page")
async def health_page(request: Request, app_state: SharedState, staff: Staff) -> Response:
    """Show how long decisions and requests take, scores at enrollment, and the doors and nodes."""

    def page() -> Response:
        stages, operations = app_state.metrics.stages(), app_state.metrics.operations()
        measured, fleet = app_state.site.zones.measured(), app_state.site.fleet()
        return _page(
            request,
            "health",
            staff,
            stages=duration_chart(stages),
            operations=duration_chart(operations),
            scores=[score_chart(one) for one in measured],
            names={one.zone.purpose: zone_name(one.zone) for one in measured},
            least_people=LEAST_PEOPLE,
            members=[
                *(FleetRow.of_node(one, fleet) for one in fleet.nodes),
                *(FleetRow.of_door(one, fleet) for one in fleet.doors),
            ],
            has_leases=bool(fleet.leases),
        )

    return await app_state.page_pool.run(page)


@router.get("/operator/refusals", name="operator_refusals_page")
async def refusals_page(request: Request, app_state: SharedState, staff: Staff) -> Response:
    """Show what a refusal can come from in each zone; nothing about one person."""

    def page() -> Response:
        site = app_state.site
        zones = [
            {"name": zone_name(zone), "found": site.rights.explain_refusals(zone.purpose, site.model)}
            for zone in site.zones.all()
        ]
        return _page(request, "refusals", staff, zones=zones)

    return await app_state.page_pool.run(page)


@router.get("/operator/keys", name="operator_keys_page")
async def keys_page(request: Request, app_state: SharedState, staff: Staff) -> Response:
    """Show the keys and the newest backup."""

    def page() -> Response:
        site = app_state.site
        keys, made_at = site.keys.status(), site.log.newest_backup_at()
        holder = keys.root_key.partition(":")[0]
        days = None if made_at is None else (site.now() - made_at).days
        backup = {"backup_at": made_at, "backup_days": days, "today": f"{site.now():%Y-%m-%d}"}
        return _page(request, "keys", staff, keys=keys, holder=holder, **backup)

    return await app_state.page_pool.run(page)


@router.get("/operator/staff", name="operator_staff_page")
async def staff_page(request: Request, app_state: SharedState, staff: Staff) -> Response:
    """Show the members of staff."""

    def page() -> Response:
        site = app_state.site
        members, zones = site.programs.staff.list(), site.zones.all()
        has_address = site.defaults.public_url() is not None
        shown = {"members": members, "zones": zones, "has_address": has_address, "now": site.now()}
        shown["roles"] = ADDED_ON_PAGES
        return _page(request, "staff", staff, **shown)

    return await app_state.page_pool.run(page)


def site_facts(app_state: AppState) -> SiteFacts:
    """Return what the overview checks. Cost: the numbers of the site, and one search of the log for the backup."""
    site = app_state.site
    status, stops = site.status(), site.stops
    return SiteFacts(
        now=site.now(),
        status=status,
        keys=site.keys.status(),
        credentials=tuple(site.programs.credentials.list()),
        unrecorded=stops.unrecorded() is not None,
        is_disk_full=stops.reserve.is_disk_full() or (stops.retries and not stops.reserve.is_kept()),
        is_overdue=site.clocks.quick_alarm() is not None,
        given_up=site.programs.outbox.state().dead,
        has_address=site.defaults.public_url() is not None,
        without_notice=tuple(one.zone.purpose for one in status.zones if not site.zones.notices(one.zone.purpose)),
        closed_gates=tuple(gate for one in status.zones for gate in site.zones.closed_gates(one.zone.purpose)),
        backup_at=site.log.newest_backup_at(),
        alarms=tuple(site.fleet().alarms()),
        titles={one.zone.purpose: zone_name(one.zone) for one in status.zones},
    )


@final
@dataclass(frozen=True, slots=True)
class FleetRow:
    """One row of the table *Doors and nodes*; None where nothing is known."""

    name: str
    is_node: bool
    zone: str | None
    version: str | None
    seen_at: datetime | None
    offset: ClockOffset | None
    certificate_until: datetime | None
    decided_at: datetime | None
    lease_until: datetime | None
    alarms: list[AlarmKind]
    then_badges: bool = False

    @classmethod
    def of_node(cls, one: RunningProcess, fleet: Fleet) -> Self:
        """Return the row of a process that serves."""
        said = (one.version, one.seen_at, one.offset, one.certificate_until, one.decided_at)
        return cls(
            one.process_id, True, None, *said, fleet.leases.get(one.process_id), fleet.alarms_about(one.process_id)
        )

    @classmethod
    def of_door(cls, one: FleetDoor, fleet: Fleet) -> Self:
        """Return the row of a door."""
        report, alarms, then_badges = one.report, fleet.alarms_about(one.name), one.after_lease is AfterLease.BADGE
        if report is None:
            return cls(one.name, False, one.purpose, None, None, None, None, None, one.lease_until, alarms, then_badges)
        said = (report.version, report.seen_at, report.offset, report.certificate_until, report.decided_at)
        return cls(one.name, False, one.purpose, *said, one.lease_until, alarms, then_badges)


def _page(request: Request, name: str, staff: Staff, **values: Any) -> Response:  # noqa: ANN401  what the template shows
    section = "/operator" if name == "overview" else f"/operator/{name}"
    return render(request, f"operator/{name}.html", staff=staff, section=section, **values)
