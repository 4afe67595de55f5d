"""What waits for the privacy officer, in numbers; and the problems that checks of the site find today."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

from volens import Site
from volens.erase.order import ProposedOrder
from volens.rights import StalePaper
from volens.store.promises import MadePaper


class SiteProblem(StrEnum):
    """What the checks of `volens doctor` find that an officer or the operator settles."""

    CLOCKS = "clocks"
    """Consents outlive their clock."""
    ERASURES = "erasures"
    """An erasure could not be finished when the site was opened."""
    ROOT_KEY = "root_key"
    """The root key outlived an erasure, because its holder did not answer."""
    STORE_KEY = "store_key"
    """The rotation of the store key is overdue."""


SWEPT: Final = frozenset({SiteProblem.CLOCKS, SiteProblem.ERASURES, SiteProblem.ROOT_KEY})
"""The problems that a sweep settles."""


@final
@dataclass(frozen=True, slots=True)
class OfficerState:
    """What waits for the officer.

    Attributes:
        running_erasures: erasures that are not finished.
        waiting: proposed orders that no second officer has approved, and whose plan is still valid.
        approved: orders that were approved and not carried out.
        unanswered: how many acknowledgements of recipients are missing.
        papers: notices that are older than what they tell.
        stale: signed papers that say something else than the zone now.
    """

    running_erasures: int
    waiting: list[ProposedOrder]
    approved: list[ProposedOrder]
    unanswered: int
    papers: list[StalePaper]
    stale: list[MadePaper]
    problems: list[SiteProblem]


def officer_state(site: Site) -> OfficerState:
    """Return what waits for the officer now. Cost: some tens of queries, and a signature for each certificate shown."""
    now, cohorts = site.now(), site.cohorts
    open_orders = [
        one
        for one in cohorts.proposals()
        if (begun := cohorts.state_of(one.cohort_id)) is None or begun.finished_at is None
    ]
    return OfficerState(
        running_erasures=sum(one.is_running for one in site.rights.erasures()),
        waiting=[one for one in open_orders if not one.approved_by and cohorts.plan_of(one).good_until >= now],
        approved=[one for one in open_orders if one.approved_by],
        unanswered=len(site.rights.unanswered()),
        papers=site.rights.stale_papers(),
        stale=site.papers.stale(),
        problems=site_problems(site),
    )


def site_problems(site: Site) -> list[SiteProblem]:
    """Return the problems that exist now, the most urgent first."""
    keys = site.keys.status()
    found = {
        SiteProblem.CLOCKS: site.clocks.alarm() is not None,
        SiteProblem.ERASURES: site.unfinished is not None,
        SiteProblem.ROOT_KEY: keys.root_key_due,
        SiteProblem.STORE_KEY: keys.overdue or keys.unfinished,
    }
    return [problem for problem, is_there in found.items() if is_there]
