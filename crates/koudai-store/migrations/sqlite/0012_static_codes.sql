-- Codes that merchants print, those who pay by them without a wallet here, and what was paid by them today from each source.
CREATE TABLE static_code (
    token      BLOB    NOT NULL PRIMARY KEY CHECK (length(token) = 16),
    mchid      INTEGER NOT NULL,
    label      TEXT    NOT NULL,
    notify_url TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX static_code_by_merchant ON static_code (mchid, token);

CREATE TABLE guest (
    id         INTEGER NOT NULL PRIMARY KEY,
    network    INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE static_tally (
    source        INTEGER NOT NULL PRIMARY KEY,
    day           INTEGER NOT NULL,
    since         INTEGER NOT NULL,
    used_minor    INTEGER NOT NULL CHECK (used_minor >= 0),
    used_currency TEXT    NOT NULL,
    orders        INTEGER NOT NULL CHECK (orders >= 0)
) STRICT;
