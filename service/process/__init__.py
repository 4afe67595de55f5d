"""The processes of `volens serve`: workers, their supervision, memory locking, logs."""
