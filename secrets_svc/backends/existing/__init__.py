"""Secrets that an operator already has, read where they lie and never written.

Each store that can look there brings its :class:`~.places.Places`; the rest is the same for all.
"""
