"""How fast a face is found, by Volens whole and by what one would otherwise have used (docs/performance.md)."""
