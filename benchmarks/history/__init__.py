"""Histories of several processes under faults, and a pure checker of what they promise. ADR 0082."""
