"""Consent and enrollment. The only room that creates biometric references."""

from volens.enroll.batch_enrollment import Applicant as Applicant
from volens.enroll.batch_enrollment import EnrollmentOutcome as EnrollmentOutcome
from volens.enroll.batch_enrollment import EnrollmentReport as EnrollmentReport
from volens.enroll.batch_enrollment import people_in as people_in
from volens.enroll.capture import capture_reference as capture_reference
from volens.enroll.capture_advice import advise_capture as advise_capture
from volens.enroll.consent_changes import ConsentChanges as ConsentChanges
from volens.enroll.enrollment import Enrolled as Enrolled
from volens.enroll.enrollment import enroll as enroll
from volens.enroll.giving import accept_consent as accept_consent
from volens.enroll.giving import give_consent as give_consent
from volens.enroll.giving import offer_consent as offer_consent
from volens.enroll.invitation_table import Invitee as Invitee
from volens.enroll.invitation_views import Invitation as Invitation
from volens.enroll.invitation_views import InvitationsPage as InvitationsPage
from volens.enroll.invitation_views import InvitationView as InvitationView
from volens.enroll.invitation_views import InvitedRow as InvitedRow
from volens.enroll.invitation_views import ListedInvitation as ListedInvitation
from volens.enroll.invitations import Invitations as Invitations
from volens.enroll.new_photos import NewPhotos as NewPhotos
from volens.enroll.pending_restrictions import RestrictionPendingError as RestrictionPendingError
from volens.enroll.placement import ReferencePlacement as ReferencePlacement
from volens.enroll.renewal import end_replaced_consent as end_replaced_consent
from volens.enroll.renewed_consent import Renewed as Renewed
from volens.enroll.renewed_consent import renew_consent as renew_consent
from volens.store.people.replaced_references import PhotoChange as PhotoChange
