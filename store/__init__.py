"""Tables, constraints, triggers, migrations; keyring; sealing (AEAD)."""
