"""Matching benchmark: latency of an identification by Volens and by alternative libraries (docs/performance.md)."""
