"""How pods say what they want: a module a dialect, unaware of each other.

Each has ``asks(metadata) -> bool`` (nothing is parsed before the scope is proven), ``claim(metadata)``
and ``parse(metadata) -> PodRequests | None`` (``None``: asks nothing). All that a pod says is hostile.
"""
