"""Withdrawal, expiry and erasure: the procedure with its journal, the sweep, and the replay after a restore."""

from volens.erase.journal import certificate_of as certificate_of
from volens.erase.journal import unfinished as unfinished
from volens.erase.journal import unfinished_since as unfinished_since
from volens.erase.operator_key import OperatorKey as OperatorKey
from volens.erase.operator_key import approval_file as approval_file
from volens.erase.operator_key import approve as approve
from volens.erase.operator_key import is_protected as is_protected
from volens.erase.operator_key import public_pem as public_pem
from volens.erase.operator_key import read_approval_file as read_approval_file
from volens.erase.operator_key import read_public_pem as read_public_pem
from volens.erase.procedure import erase_consent as erase_consent
from volens.erase.procedure import erase_consents as erase_consents
from volens.erase.procedure import resume_begun as resume_begun
from volens.erase.replay import Progress as Progress
from volens.erase.replay import Restored as Restored
from volens.erase.replay import RestoreOrder as RestoreOrder
from volens.erase.replay import restore_site as restore_site
from volens.erase.sweep import DUE_SOON as DUE_SOON
from volens.erase.sweep import STALE_AFTER as STALE_AFTER
from volens.erase.sweep import DueReport as DueReport
from volens.erase.sweep import SweepReport as SweepReport
from volens.erase.sweep import due as due
from volens.erase.sweep import outliving as outliving
from volens.erase.sweep import sweep as sweep
