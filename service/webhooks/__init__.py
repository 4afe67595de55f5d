"""Webhooks, outbound and inbound: signed as in the Standard Webhooks specification; they never carry biometric data."""

from volens.service.webhooks.address_guard import AddressError as AddressError
from volens.service.webhooks.address_guard import Resolve as Resolve
from volens.service.webhooks.address_guard import Target as Target
from volens.service.webhooks.address_guard import checked_addresses as checked_addresses
from volens.service.webhooks.address_guard import look_up as look_up
from volens.service.webhooks.address_guard import parse_target as parse_target
from volens.service.webhooks.delivery import WebhookSender as WebhookSender
from volens.service.webhooks.delivery import shared_secrets as shared_secrets
from volens.service.webhooks.inbound import verification_key as verification_key
from volens.service.webhooks.posting import DeliveryError as DeliveryError
from volens.service.webhooks.posting import request as request
from volens.service.webhooks.retry_schedule import GIVE_UP_AFTER as GIVE_UP_AFTER
from volens.service.webhooks.retry_schedule import LONGEST_DELAY as LONGEST_DELAY
from volens.service.webhooks.retry_schedule import next_attempt_at as next_attempt_at
from volens.service.webhooks.signatures import REPLAY_WINDOW as REPLAY_WINDOW
from volens.service.webhooks.signatures import SignatureError as SignatureError
from volens.service.webhooks.signatures import StaleError as StaleError
from volens.service.webhooks.signatures import SymmetricKey as SymmetricKey
from volens.service.webhooks.signatures import VerifyKey as VerifyKey
from volens.service.webhooks.signatures import sign as sign
from volens.service.webhooks.signatures import verify as verify
