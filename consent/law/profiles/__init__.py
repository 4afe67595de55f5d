"""The shipped profiles: one TOML file for each jurisdiction."""
