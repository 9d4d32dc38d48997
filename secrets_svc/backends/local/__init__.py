"""The embedded store: SQLite in a folder, every value sealed to the reader's key and signed by the writer's.

    backend.py      the entry point's object and its settings
    locks.py        the lock that tools take on a folder
    keys.py         generations of key files
    sealing.py      HPKE and Ed25519 over one entry: the only module here that sees values
    records.py, entries.py    one entry without its value, and with it; which entries verify
    schema.py, databases.py    tables and their forms; connections, transactions
    earlier.py      versions that are no longer current, or are again
    tables.py       going through all that is sealed
    faults.py       what SQLite and the disk answer, as errors of ours
    writer.py, listing.py, operations.py    the writer's side
    reader.py       the reader's side
    rotation.py     new keys for all that is stored
    backup.py, restore.py    one file with everything, and back

What it keeps from whom: whoever gets the database without the keys learns names, sizes and times, but no
value, and can neither make an entry nor alter one unnoticed. He can remove an entry or an earlier
version, or put it back as it once was: only a record kept elsewhere could tell. He can't make an earlier
version current out of what the file holds. Whoever has the whole folder has everything.

May import: ``secrets_svc.core``, ``cryptography``, ``pydantic`` (settings only).
"""

from secrets_svc.backends.local.backend import BACKEND

__all__ = ["BACKEND"]
