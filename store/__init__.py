"""Tables, constraints, triggers, migrations; keyring; sealing (AEAD)."""

from store.admission import admit_receipt, check_receipt
from store.audit_log import LogReport, forget, log_size, node_reader, verify_log
from store.badges import badge_reference, check_badge_site, count_badges, has_badge, issue_badge, kept_digests
from store.consents import (
    Ledger,
    StoredReceipt,
    add_consent,
    all_receipts,
    consent_ended,
    count_live,
    end_consent,
    live_receipts,
    name_of,
    receipt_of_code,
    sealed_name,
    stored_receipt,
)
from store.erasures import (
    ErasureState,
    JournalEntry,
    StoredCertificate,
    add_certificate,
    advance,
    certificate_of,
    entry,
    open_entry,
    unfinished,
)
from store.giving import give_consent
from store.home import PUBLIC_KEY_FILE, ROOT_KEY_FILE, make_home, open_home
from store.keyring import Keyring
from store.people import receipts_of
from store.private_files import read_private, write_private
from store.promises import add_notice, add_zone, notice_of, zone_of, zones
from store.references import (
    SealedReference,
    add_reference,
    count_references,
    has_reference,
    live_candidates,
    reference_ids,
    references_in,
    references_of,
)
from store.root_key import make_root_key_file, read_root_key_file
from store.sealing import nonce_of
from store.secrets import GrantSecret, Random, RootKey
from store.status import SiteStatus, ZoneStatus, site_status
from store.store import Clock, SiteRecord, Store, Transaction
from store.subject_secrets import add_commitment, check_person_secret

__all__ = [
    "PUBLIC_KEY_FILE",
    "ROOT_KEY_FILE",
    "Clock",
    "ErasureState",
    "GrantSecret",
    "JournalEntry",
    "Keyring",
    "Ledger",
    "LogReport",
    "Random",
    "RootKey",
    "SealedReference",
    "SiteRecord",
    "SiteStatus",
    "Store",
    "StoredCertificate",
    "StoredReceipt",
    "Transaction",
    "ZoneStatus",
    "add_certificate",
    "add_commitment",
    "add_consent",
    "add_notice",
    "add_reference",
    "add_zone",
    "admit_receipt",
    "advance",
    "all_receipts",
    "badge_reference",
    "certificate_of",
    "check_badge_site",
    "check_person_secret",
    "check_receipt",
    "consent_ended",
    "count_badges",
    "count_live",
    "count_references",
    "end_consent",
    "entry",
    "forget",
    "give_consent",
    "has_badge",
    "has_reference",
    "issue_badge",
    "kept_digests",
    "live_candidates",
    "live_receipts",
    "log_size",
    "make_home",
    "make_root_key_file",
    "name_of",
    "node_reader",
    "nonce_of",
    "notice_of",
    "open_entry",
    "open_home",
    "read_private",
    "read_root_key_file",
    "receipt_of_code",
    "receipts_of",
    "reference_ids",
    "references_in",
    "references_of",
    "sealed_name",
    "site_status",
    "stored_receipt",
    "unfinished",
    "verify_log",
    "write_private",
    "zone_of",
    "zones",
]
