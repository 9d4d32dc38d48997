"""Use cases of the data plane: writing (validate, then write) and reading (scope chain, shared fresh calls).

Belongs here: what every store needs done to it. Doesn't: vendors, HTTP, who may do what.
May import: ``secrets_svc.core``.
"""
