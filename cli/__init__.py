"""The command `secret`."""
