"""What deleting a person leaves behind, in Volens and in what one would otherwise have used (docs/deletion.md)."""
