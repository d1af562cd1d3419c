-- Getting an account back: cool-downs, sessions that can all be ended at once, what holders are told of, and rights to freeze.
ALTER TABLE person ADD COLUMN IF NOT EXISTS cool_until BIGINT NOT NULL DEFAULT 0;
ALTER TABLE outgoing_message ADD COLUMN IF NOT EXISTS about TEXT;

CREATE TABLE IF NOT EXISTS sign_ins (
    person BIGINT NOT NULL PRIMARY KEY,
    sessions BYTEA NOT NULL,
    devices BIGINT NOT NULL CHECK (devices >= 0),
    language TEXT
);

-- Nobody knows the sessions before this: their holders sign in again.
DELETE FROM session;

CREATE TABLE IF NOT EXISTS freeze_right (
    key BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(key) = 32),
    person BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS freeze_right_by_expiry ON freeze_right (expires_at);

CREATE TABLE IF NOT EXISTS recovery (
    token_hash BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(token_hash) = 32),
    person BIGINT NOT NULL,
    kind TEXT NOT NULL,
    proven BIGINT NOT NULL CHECK (proven IN (0, 1)),
    expires_at BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS recovery_by_expiry ON recovery (expires_at);

CREATE TABLE IF NOT EXISTS cool_tally (
    person BIGINT NOT NULL PRIMARY KEY,
    day BIGINT NOT NULL,
    spent_minor BIGINT NOT NULL CHECK (spent_minor >= 0),
    spent_currency TEXT NOT NULL,
    withdrawn_minor BIGINT NOT NULL CHECK (withdrawn_minor >= 0),
    withdrawn_currency TEXT NOT NULL
);
