"""Access tokens for clients that want one first: OAuth 2.0's client credentials (RFC 6749 section 4.4)."""
