"""The tables, which form of them a database has, and the way from an earlier form to this one."""

from __future__ import annotations

import sqlite3

#: "SSvc", in the file's header (sqlite.org/pragma.html#pragma_application_id).
APPLICATION_ID = 0x53537663
SCHEMA_VERSION = 2

# The value comes last: what only looks at metadata never touches the pages it lies on.
_FIRST = {
    "meta": "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    "secrets": "CREATE TABLE secrets (storage_name TEXT PRIMARY KEY, signature BLOB NOT NULL, "
    "token TEXT NOT NULL, type TEXT NOT NULL, size INTEGER NOT NULL, created_at INTEGER NOT NULL, "
    "updated_at INTEGER NOT NULL, created_by TEXT NOT NULL, updated_by TEXT NOT NULL, "
    "generation TEXT NOT NULL, digest BLOB NOT NULL, project_key TEXT NOT NULL, sealed BLOB NOT NULL"
    ") STRICT, WITHOUT ROWID",
    "secrets_by_project": "CREATE INDEX secrets_by_project ON secrets (project_key, storage_name)",
    "operations": "CREATE TABLE operations (operation_id TEXT PRIMARY KEY, verb TEXT NOT NULL, "
    "storage_name TEXT NOT NULL, generation TEXT, fingerprint BLOB, answer TEXT NOT NULL, "
    "at INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    "operations_by_age": "CREATE INDEX operations_by_age ON operations (at)",
}
#: What version 2 has besides.
_EARLIER = {
    "versions": "CREATE TABLE versions (storage_name TEXT NOT NULL, token TEXT NOT NULL, "
    "signature BLOB NOT NULL, type TEXT NOT NULL, size INTEGER NOT NULL, born INTEGER NOT NULL, "
    "written_at INTEGER NOT NULL, left_at INTEGER NOT NULL, written_by TEXT NOT NULL, "
    "generation TEXT NOT NULL, digest BLOB NOT NULL, sealed BLOB NOT NULL, "
    "PRIMARY KEY (storage_name, token)) STRICT, WITHOUT ROWID",
}
_SCHEMAS = {1: _FIRST, SCHEMA_VERSION: _FIRST | _EARLIER}

_FOUND = "SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"


def lay_out(connection: sqlite3.Connection) -> None:
    """Make the tables. Only inside a write transaction, on an empty file."""
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    for statement in _SCHEMAS[SCHEMA_VERSION].values():
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def version_of(connection: sqlite3.Connection) -> int:
    """The form that the database says it has."""
    [(version,)] = connection.execute("PRAGMA user_version").fetchall()
    return int(version)


def is_whole(connection: sqlite3.Connection) -> bool:
    """Whether it has the tables of its form, and a form that this release knows."""
    connection.execute("BEGIN")  # both of one moment: somebody may be upgrading it
    try:
        return dict(connection.execute(_FOUND).fetchall()) == _SCHEMAS.get(version_of(connection))
    finally:
        connection.execute("COMMIT")


def keeps_versions(connection: sqlite3.Connection) -> bool:
    """Whether it has a table for earlier versions; one that nobody has opened for writing yet may not."""
    return version_of(connection) >= SCHEMA_VERSION


def upgrade(connection: sqlite3.Connection) -> None:
    """Bring an earlier form to this one. Only inside a write transaction; what is there stays as it is."""
    if version_of(connection) == 1:
        for statement in _EARLIER.values():
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
