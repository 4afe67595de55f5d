"""Deletion benchmark: what a deletion leaves behind, in Volens and in alternative products (docs/deletion.md)."""
