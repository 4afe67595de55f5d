"""Measurements: raw observations first, figures derived later, peers in the same run."""
