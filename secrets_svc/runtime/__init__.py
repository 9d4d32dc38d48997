"""Settings and composition of the service roles: the one place that reads the environment and joins parts.

Belongs here: settings, certificates, tokens, the audit file, hardening of the process, composition.
Doesn't: decisions. May import: every other package of ``secrets_svc`` but ``testing``.
"""
