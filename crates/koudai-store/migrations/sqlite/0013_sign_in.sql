-- Signing in by an e-mail address, a password and passkeys, and what is counted so that nobody can guess.
ALTER TABLE person ADD COLUMN email TEXT;
ALTER TABLE person ADD COLUMN passkeys INTEGER NOT NULL DEFAULT 0 CHECK (passkeys >= 0);

CREATE TABLE email_owner (
    email  TEXT    NOT NULL PRIMARY KEY,
    person INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

ALTER TABLE session ADD COLUMN device BLOB;
ALTER TABLE session ADD COLUMN proven_at INTEGER NOT NULL DEFAULT 0;

CREATE TABLE device (
    key      BLOB    NOT NULL PRIMARY KEY CHECK (length(key) = 32),
    person   INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX device_by_person ON device (person, last_at);

-- Codes that are under way are void: whoever waits for one asks again.
DROP TABLE one_time_code;
CREATE TABLE sent_code (
    contact    TEXT    NOT NULL,
    purpose    TEXT    NOT NULL,
    nonce      BLOB    NOT NULL,
    request    BLOB    NOT NULL CHECK (length(request) = 32),
    asked_at   INTEGER NOT NULL,
    tries_left INTEGER NOT NULL CHECK (tries_left >= 0),
    hour_from  INTEGER NOT NULL,
    in_hour    INTEGER NOT NULL,
    day        INTEGER NOT NULL,
    in_day     INTEGER NOT NULL,
    PRIMARY KEY (contact, purpose)
) STRICT, WITHOUT ROWID;
CREATE INDEX sent_code_by_time ON sent_code (asked_at);

DROP TABLE message;
CREATE TABLE outgoing_message (
    id         INTEGER NOT NULL PRIMARY KEY,
    contact    TEXT    NOT NULL,
    purpose    TEXT    NOT NULL,
    nonce      BLOB    NOT NULL,
    next_at    INTEGER NOT NULL,
    tries      INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    language   TEXT,
    agreement  INTEGER
) STRICT;
CREATE INDEX outgoing_message_by_time ON outgoing_message (next_at);

CREATE TABLE login_password (
    person INTEGER NOT NULL PRIMARY KEY,
    salt   BLOB    NOT NULL CHECK (length(salt) = 16),
    mac    BLOB    CHECK (length(mac) = 32),
    set_at INTEGER NOT NULL,
    earlier BLOB    NOT NULL
) STRICT;

CREATE TABLE passkey (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 32),
    person     INTEGER NOT NULL,
    credential BLOB    NOT NULL,
    public_key BLOB    NOT NULL,
    algorithm  TEXT    NOT NULL,
    sign_count INTEGER NOT NULL CHECK (sign_count >= 0),
    name       TEXT    NOT NULL,
    added_at   INTEGER NOT NULL,
    used_at    INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX passkey_by_person ON passkey (person, added_at);

CREATE TABLE used_challenge (
    token      BLOB    NOT NULL PRIMARY KEY CHECK (length(token) = 16),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX used_challenge_by_expiry ON used_challenge (expires_at);

CREATE TABLE allowance (
    key     BLOB    NOT NULL PRIMARY KEY CHECK (length(key) = 32),
    used    INTEGER NOT NULL CHECK (used >= 0),
    ends_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX allowance_by_end ON allowance (ends_at);
