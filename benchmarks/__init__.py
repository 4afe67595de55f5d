"""Benchmarks: raw observations are stored first, figures are derived later, peers take part in the same run."""
