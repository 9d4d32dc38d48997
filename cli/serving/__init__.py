"""Roles of the server, one file each; ``all.py`` joins service and injector in one process."""
