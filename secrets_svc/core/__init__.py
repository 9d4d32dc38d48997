"""The language of the product: scopes, names, values, errors, ports, policy, audit events.

Belongs here: what every other package must agree on. Doesn't: settings, vendors, formats of
edges; no I/O but private files and the state folder.
May import: the standard library, and its own modules.
"""
