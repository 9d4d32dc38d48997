"""The Kubernetes API server as plain JSON: connecting, calling, watching. Knows nothing of secrets.

For the `kubernetes` backend, the injector and `secret check`. May import: ``secrets_svc.core``, and the
``kubernetes`` package for its kubeconfig and in-cluster identities (its models stay unused: they cost memory
and tens of milliseconds a pod).
"""
