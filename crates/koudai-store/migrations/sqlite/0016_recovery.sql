-- Getting an account back: cool-downs, sessions that can all be ended at once, what holders are told of, and rights to freeze.
ALTER TABLE person ADD COLUMN cool_until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outgoing_message ADD COLUMN about TEXT;

CREATE TABLE sign_ins (
    person INTEGER NOT NULL PRIMARY KEY,
    sessions BLOB NOT NULL,
    devices INTEGER NOT NULL CHECK (devices >= 0),
    language TEXT
) STRICT;

-- Nobody knows the sessions before this: their holders sign in again.
DELETE FROM session;

CREATE TABLE freeze_right (
    key BLOB NOT NULL PRIMARY KEY CHECK (length(key) = 32),
    person INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX freeze_right_by_expiry ON freeze_right (expires_at);

CREATE TABLE recovery (
    token_hash BLOB NOT NULL PRIMARY KEY CHECK (length(token_hash) = 32),
    person INTEGER NOT NULL,
    kind TEXT NOT NULL,
    proven INTEGER NOT NULL CHECK (proven IN (0, 1)),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX recovery_by_expiry ON recovery (expires_at);

CREATE TABLE cool_tally (
    person INTEGER NOT NULL PRIMARY KEY,
    day INTEGER NOT NULL,
    spent_minor INTEGER NOT NULL CHECK (spent_minor >= 0),
    spent_currency TEXT NOT NULL,
    withdrawn_minor INTEGER NOT NULL CHECK (withdrawn_minor >= 0),
    withdrawn_currency TEXT NOT NULL
) STRICT;
