"""Callers that an issuer of the house vouches for (OpenID Connect): whom we trust, its keys, its tokens."""
