"""The audit log in the data file, and the copy of its leaves in the keyring that detects a rollback."""

from volens.store.log.audit_log import LogReport as LogReport
from volens.store.log.audit_log import entries_about_no_person as entries_about_no_person
from volens.store.log.audit_log import erase_openings as erase_openings
from volens.store.log.audit_log import kinds_since as kinds_since
from volens.store.log.audit_log import log_size as log_size
from volens.store.log.audit_log import newest_time as newest_time
from volens.store.log.audit_log import node_reader as node_reader
from volens.store.log.audit_log import verify_log as verify_log
from volens.store.log.log_reading import heads_between as heads_between
from volens.store.log.log_reading import leaves_from as leaves_from
from volens.store.log.log_reading import newest_head as newest_head
from volens.store.log.log_reading import nodes_from as nodes_from
from volens.store.log.log_reading import openings_about_no_consent as openings_about_no_consent
from volens.store.log.log_time import CLOCK_TOLERANCE as CLOCK_TOLERANCE
from volens.store.log.log_time import store_time as store_time
from volens.store.log.remembrance import CONSENT_ENDED as CONSENT_ENDED
from volens.store.log.remembrance import remember as remember
from volens.store.log.remembrance import remembered_ends as remembered_ends
from volens.store.log.remembrance import remembered_leaves as remembered_leaves
from volens.store.log.remembrance import undone_ends as undone_ends
