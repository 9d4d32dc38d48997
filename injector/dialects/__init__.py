"""How pods say what they want: a module a dialect, unaware of each other.

Each has ``parse(metadata) -> PodRequests | None`` (``None``: asks nothing in this dialect) and
``claim(metadata) -> Claim``. What a pod says is hostile until parsed here.
"""
