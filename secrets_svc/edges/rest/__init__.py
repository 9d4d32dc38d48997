"""The REST API: ``app.py`` joins gate (before the body), routes, shapes and problem documents."""
