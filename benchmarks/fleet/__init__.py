"""Many doors, several nodes, one database server: throughput, latency, and what happens when it is full."""
