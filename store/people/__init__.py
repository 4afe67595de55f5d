"""What belongs to a person: consents, references, second factors, visits, clocks. It ends with the consent."""

from volens.store.people.admission import admit_receipt as admit_receipt
from volens.store.people.consents import StoredReceipt as StoredReceipt
from volens.store.people.consents import live_receipts as live_receipts
from volens.store.people.consents import name_of as name_of
from volens.store.people.consents import stored_receipt as stored_receipt
from volens.store.people.consents import stored_receipts as stored_receipts
from volens.store.people.deadlines import clocked as clocked
from volens.store.people.deadlines import shorten as shorten
from volens.store.people.external_ids import add_external_id as add_external_id
from volens.store.people.external_ids import parse_external_id as parse_external_id
from volens.store.people.people_search import receipts_of as receipts_of
from volens.store.people.references import SealedReference as SealedReference
from volens.store.people.references import count_references as count_references
from volens.store.people.references import live_candidates as live_candidates
from volens.store.people.references import references_of as references_of
from volens.store.people.subject_secrets import check_person_secret as check_person_secret
