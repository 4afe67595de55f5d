"""Adapters only: command line, HTTP, webhooks, tokens, doors. They parse, call `volens`, and map errors."""
