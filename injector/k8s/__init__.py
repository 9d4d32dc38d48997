"""The injector in a cluster: the only code here that talks to the API server.

Namespaces for proofs, staging as immutable Secrets under leases, the janitor that removes them.
May import: ``secrets_svc.core``, ``secrets_svc.data``, ``secrets_svc.kube``, the staging port, plain types.
"""
