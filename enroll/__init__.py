"""Consent and enrollment. The only room that creates biometric references."""

from volens.enroll.capture import capture_reference as capture_reference
from volens.enroll.enrollment import Enrolled as Enrolled
from volens.enroll.enrollment import enroll as enroll
from volens.enroll.giving import give_consent as give_consent
from volens.enroll.placement import ReferencePlacement as ReferencePlacement
from volens.enroll.renewal import end_replaced_consent as end_replaced_consent
