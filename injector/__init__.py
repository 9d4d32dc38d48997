"""The injector: AdmissionReview in, a patch of references or a coded refusal out.

    review → dialects → trust → layout → (resolve, stage) → patch

``handler.py`` joins these without network types, ``server.py`` is the socket, ``compose.py`` builds it all.
Decisions (all but delivery, server and compose) are pure and import no client of a vendor.
May import: ``secrets_svc.core`` and ``secrets_svc.data``; only ``compose.py`` sees ``secrets_svc.runtime``.
"""
