-- Codes that merchants print, those who pay by them without a wallet here, and what was paid by them today from each source.
CREATE TABLE IF NOT EXISTS static_code (
    token      BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(token) = 16),
    mchid      BIGINT NOT NULL,
    label      TEXT NOT NULL,
    notify_url TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX IF NOT EXISTS static_code_by_merchant ON static_code (mchid, token);

CREATE TABLE IF NOT EXISTS guest (
    id         BIGINT NOT NULL PRIMARY KEY,
    network    BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS static_tally (
    source        BIGINT NOT NULL PRIMARY KEY,
    day           BIGINT NOT NULL,
    since         BIGINT NOT NULL,
    used_minor    BIGINT NOT NULL CHECK (used_minor >= 0),
    used_currency TEXT NOT NULL,
    orders        BIGINT NOT NULL CHECK (orders >= 0)
);
