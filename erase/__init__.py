"""Withdrawal, expiry and erasure carried out everywhere; certificates."""
