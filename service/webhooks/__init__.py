"""Webhooks, in and out: signed after the Standard Webhooks specification, thin, and without biometrics ever."""
