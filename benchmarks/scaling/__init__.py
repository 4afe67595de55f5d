"""What a reference costs, how that grows, and where one machine ends: docs/scaling.md."""
