"""Answers to people and authorities: access requests, the retention policy, and the published audit log."""

from volens.rights.access_answer import AccessAnswer as AccessAnswer
from volens.rights.access_answer import answer_access as answer_access
from volens.rights.access_answer import is_about as is_about
from volens.rights.access_check import MAX_FILE_BYTES as MAX_FILE_BYTES
from volens.rights.access_check import verify_answer as verify_answer
from volens.rights.policy import build_policy as build_policy
from volens.rights.policy import policy_file as policy_file
from volens.rights.policy import policy_page as policy_page
from volens.rights.policy import verify_policy as verify_policy
from volens.rights.published_log import PublishedLog as PublishedLog
from volens.rights.request_handling import Rights as Rights
from volens.rights.request_rows import PersonsRequest as PersonsRequest
from volens.rights.who_may_withdraw import consent_shown as consent_shown
from volens.rights.who_may_withdraw import consents_meant as consents_meant
