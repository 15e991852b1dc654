-- API keys of an installation, without their secrets. Lists are JSON; times are microseconds since the epoch, UTC.
CREATE TABLE api_keys (
    id             TEXT PRIMARY KEY NOT NULL,
    digest         BLOB NOT NULL CHECK (length(digest) = 32),
    application    TEXT NOT NULL,
    owner          TEXT,
    plan           TEXT,
    scopes         TEXT NOT NULL,
    roles          TEXT NOT NULL,
    quota_requests INTEGER,
    quota_per_s   INTEGER,
    created        INTEGER NOT NULL,
    created_by     TEXT NOT NULL,
    expires        INTEGER,
    rotated        INTEGER,
    revoked        INTEGER,
    revoked_by     TEXT,
    last_used      INTEGER,
    calls          INTEGER NOT NULL DEFAULT 0,
    CHECK ((quota_requests IS NULL) = (quota_per_s IS NULL))
) STRICT;

-- Rises with every change of a key but its use: who keeps them in memory looks at it to see whether to read again.
CREATE TABLE api_keys_revision (
    revision INTEGER NOT NULL
) STRICT;
INSERT INTO api_keys_revision VALUES (0);
