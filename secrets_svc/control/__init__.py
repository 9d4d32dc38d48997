"""Use cases of the control plane: authorise, validate, hand on to a data plane, audit. Keeps no value.

May import: ``secrets_svc.core``.
"""
