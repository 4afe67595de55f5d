"""Overhead of HTTP: the same frames are sent to the library and to the service in turn."""
