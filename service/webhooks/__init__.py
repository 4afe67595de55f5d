"""Webhooks, in and out: signed after the Standard Webhooks specification, thin, and without biometrics ever."""

from volens.erase.revocations import Revocations as Revocations
