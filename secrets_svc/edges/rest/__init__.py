"""The REST API: ``app.py`` joins the gate (before the body), routes, shapes and problem documents."""
