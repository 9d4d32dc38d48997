"""How values reach the kubelet: the staging port, and an implementation a module.

May import: ``secrets_svc.core``, ``secrets_svc.data`` and the injector's plain types.
"""
