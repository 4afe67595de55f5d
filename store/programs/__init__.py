"""What other programs are to a site: credentials, senders, webhook endpoints, the outbox, jobs, processes."""

from volens.store.programs.credentials import Credential as Credential
from volens.store.programs.credentials import Role as Role
from volens.store.programs.decision_counts import DecisionLog as DecisionLog
from volens.store.programs.endpoints import Endpoint as Endpoint
from volens.store.programs.endpoints import MessageKind as MessageKind
from volens.store.programs.idempotency_store import IdempotencyStore as IdempotencyStore
from volens.store.programs.jobs import JobKind as JobKind
from volens.store.programs.jobs import JobState as JobState
from volens.store.programs.outbox import Message as Message
from volens.store.programs.outbox import Outbox as Outbox
from volens.store.programs.outbox import tell as tell
from volens.store.programs.processes import Processes as Processes
from volens.store.programs.recipients import Recipient as Recipient
from volens.store.programs.recipients import acknowledgements_of as acknowledgements_of
from volens.store.programs.recipients import recipients_of as recipients_of
from volens.store.programs.senders import Sender as Sender
from volens.store.programs.senders import SenderKey as SenderKey
from volens.store.programs.senders import Senders as Senders
