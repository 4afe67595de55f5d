"""`Site.programs`: what other programs are to a site, and the state that the service keeps for them."""

from typing import final

from volens.store.programs.credentials import Credentials
from volens.store.programs.decision_counts import DecisionLog
from volens.store.programs.door_reports import DoorReports
from volens.store.programs.endpoints import Endpoints
from volens.store.programs.idempotency_store import IdempotencyStore
from volens.store.programs.inbox import Inbox
from volens.store.programs.jobs import Jobs
from volens.store.programs.leases import Leases
from volens.store.programs.outbox import Outbox
from volens.store.programs.processes import Processes
from volens.store.programs.senders import Senders
from volens.store.programs.session_seals import SessionSeals
from volens.store.programs.staff import Staff
from volens.store.store import Store


@final
class Programs:
    """The programs that work with a site, and what the service stores for them."""

    def __init__(self, store: Store) -> None:
        self.credentials = Credentials(store)
        self.senders = Senders(store)
        self.inbox = Inbox(store)
        self.endpoints = Endpoints(store)
        self.outbox = Outbox(store)
        self.idempotency_store = IdempotencyStore(store)
        self.jobs = Jobs(store)
        self.processes = Processes(store)
        self.doors = DoorReports(store)
        self.decisions = DecisionLog(store)
        self.sessions = SessionSeals(store)
        self.staff = Staff(store, self.credentials)
        self.leases = Leases(store)
