"""The control plane over HTTP, for callers that are not the server itself.

Belongs here: speaking the REST interface, checking what comes back. Doesn't: configuration, terminals, use
cases. May import: `core` and the standard library. The command line imports this at every call, so no module
here may import what takes long to load (no third-party client, no `ssl` unless the endpoint is https).
"""
