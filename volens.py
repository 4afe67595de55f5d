"""The public face of the library: `from volens import Site`."""
