"""Erasure by order of an authority, for many people: plan, approval by operators, execution, dossier."""

from volens.erase.order.cohort import CohortErased as CohortErased
from volens.erase.order.cohort import Cohorts as Cohorts
from volens.erase.order.dossier import DOSSIER as DOSSIER
from volens.erase.order.dossier import sign_manifest as sign_manifest
from volens.erase.order.dossier_check import Dossier as Dossier
from volens.erase.order.dossier_check import verify_dossier as verify_dossier
from volens.erase.order.execution import AnswerRequests as AnswerRequests
from volens.erase.order.order_rows import checkpoint_note as checkpoint_note
from volens.erase.order.order_rows import cohort_of as cohort_of
from volens.erase.order.order_rows import receipts_with_open_requests as receipts_with_open_requests
from volens.erase.order.order_rows import unfinished_cohorts as unfinished_cohorts
from volens.erase.order.plan import PLAN as PLAN
from volens.erase.order.plan import Plan as Plan
from volens.erase.order.plan import read_plan as read_plan
from volens.erase.order.proposals import ProposedOrder as ProposedOrder
from volens.erase.order.selection import Selection as Selection
from volens.erase.order.selection import select_live as select_live
