"""Scaling benchmark: the cost of one more reference, its growth, and the limits of one machine: docs/scaling.md."""
