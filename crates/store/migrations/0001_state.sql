-- Times are microseconds since the epoch, UTC.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL
) STRICT;

CREATE TABLE users (
    name          TEXT PRIMARY KEY NOT NULL COLLATE NOCASE,
    role          TEXT NOT NULL CHECK (role IN ('admin', 'viewer')),
    password_hash TEXT NOT NULL,
    created       INTEGER NOT NULL
) STRICT;

CREATE TABLE sessions (
    token_hash BLOB PRIMARY KEY NOT NULL CHECK (length(token_hash) = 32),
    user_name  TEXT NOT NULL COLLATE NOCASE REFERENCES users (name) ON DELETE CASCADE,
    created    INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    expires    INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_by_user ON sessions (user_name);
CREATE INDEX sessions_by_expiry ON sessions (expires);

CREATE TABLE config_revisions (
    revision    INTEGER PRIMARY KEY NOT NULL,
    time        INTEGER NOT NULL,
    author      TEXT NOT NULL,
    cause       TEXT NOT NULL CHECK (cause IN ('start', 'signal', 'file', 'console')),
    outcome     TEXT NOT NULL CHECK (outcome IN ('applied', 'rejected')),
    message     TEXT NOT NULL,
    yaml        TEXT NOT NULL,
    yaml_sha256 TEXT NOT NULL,
    diagnostics TEXT NOT NULL
) STRICT;

CREATE TABLE catalog (
    key  TEXT PRIMARY KEY NOT NULL,
    json TEXT NOT NULL
) STRICT, WITHOUT ROWID;
