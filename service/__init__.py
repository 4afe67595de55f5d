"""Adapters only: parse, call `volens`, map errors."""
