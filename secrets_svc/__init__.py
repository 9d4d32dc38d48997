"""secrets-svc: secrets for tasks, written through an API and injected into pods by reference.

Layers, top to bottom (``.importlinter`` holds them): ``runtime`` joins; ``edges`` and ``client`` speak
outside formats; ``control``, ``data`` and ``backends`` do the work; ``core`` is the language of it all.
``task`` is apart: what task images install, a distribution of its own.
"""
