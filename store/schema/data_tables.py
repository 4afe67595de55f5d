"""Access to all tables of the data file: ``from volens.store.schema import data_tables as tables``."""

from collections.abc import Mapping
from typing import Final

from volens.store.schema.authenticated import row_seal as row_seal
from volens.store.schema.evidence_tables import access_request as access_request
from volens.store.schema.evidence_tables import acknowledgement as acknowledgement
from volens.store.schema.evidence_tables import certificate as certificate
from volens.store.schema.evidence_tables import cohort as cohort
from volens.store.schema.evidence_tables import cohort_member as cohort_member
from volens.store.schema.evidence_tables import consent_end as consent_end
from volens.store.schema.evidence_tables import erasure as erasure
from volens.store.schema.evidence_tables import proposed_order as proposed_order
from volens.store.schema.evidence_tables import receipt as receipt
from volens.store.schema.invitation_tables import invitation as invitation
from volens.store.schema.log_tables import audit_checkpoint as audit_checkpoint
from volens.store.schema.log_tables import audit_event as audit_event
from volens.store.schema.log_tables import audit_node as audit_node
from volens.store.schema.log_tables import audit_opening as audit_opening
from volens.store.schema.log_tables import cosignature as cosignature
from volens.store.schema.personal_tables import badge as badge
from volens.store.schema.personal_tables import biometric_reference as biometric_reference
from volens.store.schema.personal_tables import external_id as external_id
from volens.store.schema.personal_tables import kept_answer as kept_answer
from volens.store.schema.personal_tables import last_interaction as last_interaction
from volens.store.schema.personal_tables import leaving as leaving
from volens.store.schema.personal_tables import live_consent as live_consent
from volens.store.schema.personal_tables import name_disclosure as name_disclosure
from volens.store.schema.personal_tables import panel_badge as panel_badge
from volens.store.schema.personal_tables import passage as passage
from volens.store.schema.personal_tables import replaced_reference as replaced_reference
from volens.store.schema.personal_tables import restriction as restriction
from volens.store.schema.personal_tables import score_counts as score_counts
from volens.store.schema.personal_tables import second_factor as second_factor
from volens.store.schema.personal_tables import subject_profile as subject_profile
from volens.store.schema.personal_tables import subject_secret as subject_secret
from volens.store.schema.program_tables import api_credential as api_credential
from volens.store.schema.program_tables import door_report as door_report
from volens.store.schema.program_tables import job as job
from volens.store.schema.program_tables import lease as lease
from volens.store.schema.program_tables import process as process
from volens.store.schema.program_tables import staff_passkey as staff_passkey
from volens.store.schema.program_tables import webhook_endpoint as webhook_endpoint
from volens.store.schema.program_tables import webhook_message as webhook_message
from volens.store.schema.program_tables import webhook_outbox as webhook_outbox
from volens.store.schema.program_tables import webhook_sender as webhook_sender
from volens.store.schema.program_tables import webhook_sender_key as webhook_sender_key
from volens.store.schema.promise_tables import collection_stop as collection_stop
from volens.store.schema.promise_tables import jurisdiction_profile as jurisdiction_profile
from volens.store.schema.promise_tables import made_paper as made_paper
from volens.store.schema.promise_tables import notice as notice
from volens.store.schema.promise_tables import operator_key as operator_key
from volens.store.schema.promise_tables import operators_required as operators_required
from volens.store.schema.promise_tables import recipient as recipient
from volens.store.schema.promise_tables import shorter_retention as shorter_retention
from volens.store.schema.promise_tables import site as site
from volens.store.schema.promise_tables import site_declaration as site_declaration
from volens.store.schema.promise_tables import site_default as site_default
from volens.store.schema.promise_tables import witness as witness
from volens.store.schema.promise_tables import zone as zone
from volens.store.schema.promise_tables import zone_calibration as zone_calibration
from volens.store.schema.promise_tables import zone_change as zone_change
from volens.store.schema.promise_tables import zone_declaration as zone_declaration
from volens.store.schema.shard_tables import log_shard as log_shard
from volens.store.schema.shard_tables import shard_leaf as shard_leaf
from volens.store.schema.shard_tables import shard_opening as shard_opening
from volens.store.schema.table_builder import metadata as metadata

REVISIONS: Final = ("baseline",)
"""Schema revisions, oldest first; see `volens.store.sqlite.migrator` and `volens.store.postgres.schema_steps`."""

EXPANSIONS: Final[Mapping[str, dict[str, str]]] = {}
"""The revisions that only add, so that the release before can serve beside this one: for each the SHA-256 of the
catalogue that it leaves in a file, under ``sqlite`` (`volens.store.rollout`). Each follows the one that it expands."""
