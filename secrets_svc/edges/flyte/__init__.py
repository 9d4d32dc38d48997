"""Flyte's and Union's own clients: the services they call, over Connect and gRPC.

``app.py`` joins the manners at the gate, ``calls.py`` (from a request to a method) and the three services.
Messages become calls of the use cases in ``shapes.py``, errors become answers in ``refusals.py``. It takes
the extra ``flyte``.
"""
