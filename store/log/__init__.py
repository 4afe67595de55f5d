"""The audit log in the data file, and what the keyring remembers of it to detect a rollback."""

from volens.store.log.audit_log import LogReport as LogReport
from volens.store.log.audit_log import entries_about_nobody as entries_about_nobody
from volens.store.log.audit_log import forget_all as forget_all
from volens.store.log.audit_log import kinds_since as kinds_since
from volens.store.log.audit_log import log_size as log_size
from volens.store.log.audit_log import node_reader as node_reader
from volens.store.log.audit_log import verify_log as verify_log
from volens.store.log.remembrance import CONSENT_ENDED as CONSENT_ENDED
from volens.store.log.remembrance import remembered_ends as remembered_ends
from volens.store.log.remembrance import undone_ends as undone_ends
