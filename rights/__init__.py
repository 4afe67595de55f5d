"""Answers to people and authorities: access requests, the retention policy, and the published audit log."""

from volens.rights.access_answer import ACCESS_ANSWER as ACCESS_ANSWER
from volens.rights.access_answer import SIGNED_FILE as SIGNED_FILE
from volens.rights.access_answer import AccessAnswer as AccessAnswer
from volens.rights.access_answer import answer_access as answer_access
from volens.rights.access_answer import answer_unknown as answer_unknown
from volens.rights.access_answer import is_about as is_about
from volens.rights.access_check import MAX_FILE_BYTES as MAX_FILE_BYTES
from volens.rights.access_check import verify_answer as verify_answer
from volens.rights.held_data import held_under as held_under
from volens.rights.policy import RETENTION_POLICY as RETENTION_POLICY
from volens.rights.policy import build_policy as build_policy
from volens.rights.policy import policy_file as policy_file
from volens.rights.policy import policy_page as policy_page
from volens.rights.policy import verify_policy as verify_policy
from volens.rights.public_log import TILE_WIDTH as TILE_WIDTH
from volens.rights.public_log import PublicLog as PublicLog
from volens.rights.published_log import PublishedLog as PublishedLog
from volens.rights.request_handling import Rights as Rights
from volens.rights.request_rows import Outcome as Outcome
from volens.rights.request_rows import PersonsRequest as PersonsRequest
from volens.rights.who_may_withdraw import consent_of_code as consent_of_code
from volens.rights.who_may_withdraw import consent_of_receipt as consent_of_receipt
from volens.rights.who_may_withdraw import consent_to_withdraw as consent_to_withdraw
from volens.rights.who_may_withdraw import consents_of_person as consents_of_person
from volens.rights.withdraw import Withdrawal as Withdrawal
from volens.rights.withdraw import withdraw_consent as withdraw_consent
