"""The language of the product: scopes, names, values, errors, ports, policy, audit events.

Belongs here: what every other package must agree on. Doesn't: I/O, settings, vendors, formats of edges.
May import: the standard library, and its own modules.
"""
