"""Time of an identification by the distance to the database: files, a server on this machine, and added latency."""
