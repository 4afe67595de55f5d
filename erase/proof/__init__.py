"""Proof of an erasure: certificates, the repeated search, and the acknowledgements of recipients."""

from volens.erase.proof.acknowledgement import ACKNOWLEDGEMENT as ACKNOWLEDGEMENT
from volens.erase.proof.acknowledgement import MAX_STATEMENT_BYTES as MAX_STATEMENT_BYTES
from volens.erase.proof.acknowledgement import STATEMENT as STATEMENT
from volens.erase.proof.acknowledgement import sign_statement as sign_statement
from volens.erase.proof.certificate import CERTIFICATE as CERTIFICATE
from volens.erase.proof.certificate import Certificate as Certificate
from volens.erase.proof.certificate import is_for as is_for
from volens.erase.proof.certificate import log_details as log_details
from volens.erase.proof.certificate import verify_certificate as verify_certificate
from volens.erase.proof.certificate_list import CertificateFilter as CertificateFilter
from volens.erase.proof.certificate_list import IssuedCertificate as IssuedCertificate
from volens.erase.proof.certify import NOT_PROMISED as NOT_PROMISED
from volens.erase.proof.certify import NOT_PROMISED_ON_SERVER as NOT_PROMISED_ON_SERVER
from volens.erase.proof.certify import Erased as Erased
from volens.erase.proof.recipient_answers import Recipients as Recipients
from volens.erase.proof.search_again import Absent as Absent
from volens.erase.proof.search_again import Erasures as Erasures
