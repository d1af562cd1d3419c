-- Signing in by an e-mail address, a password and passkeys, and what is counted so that nobody can guess.
ALTER TABLE person ADD COLUMN IF NOT EXISTS email TEXT;
ALTER TABLE person ADD COLUMN IF NOT EXISTS passkeys BIGINT NOT NULL DEFAULT 0 CHECK (passkeys >= 0);

CREATE TABLE IF NOT EXISTS email_owner (
    email TEXT NOT NULL PRIMARY KEY,
    person BIGINT NOT NULL
);

ALTER TABLE session ADD COLUMN IF NOT EXISTS device BYTEA;
ALTER TABLE session ADD COLUMN IF NOT EXISTS proven_at BIGINT NOT NULL DEFAULT 0;

CREATE TABLE IF NOT EXISTS device (
    key BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(key) = 32),
    person BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS device_by_person ON device (person, last_at);

-- Codes that are under way are void: whoever waits for one asks again.
DROP TABLE IF EXISTS one_time_code;
CREATE TABLE IF NOT EXISTS sent_code (
    contact TEXT NOT NULL,
    purpose TEXT NOT NULL,
    nonce BYTEA NOT NULL,
    request BYTEA NOT NULL CHECK (octet_length(request) = 32),
    asked_at BIGINT NOT NULL,
    tries_left BIGINT NOT NULL CHECK (tries_left >= 0),
    hour_from BIGINT NOT NULL,
    in_hour BIGINT NOT NULL,
    day BIGINT NOT NULL,
    in_day BIGINT NOT NULL,
    PRIMARY KEY (contact, purpose)
);
CREATE INDEX IF NOT EXISTS sent_code_by_time ON sent_code (asked_at);

DROP TABLE IF EXISTS message;
CREATE TABLE IF NOT EXISTS outgoing_message (
    id BIGINT NOT NULL PRIMARY KEY,
    contact TEXT NOT NULL,
    purpose TEXT NOT NULL,
    nonce BYTEA NOT NULL,
    next_at BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    language TEXT,
    agreement BIGINT
);
CREATE INDEX IF NOT EXISTS outgoing_message_by_time ON outgoing_message (next_at);

CREATE TABLE IF NOT EXISTS login_password (
    person BIGINT NOT NULL PRIMARY KEY,
    salt BYTEA NOT NULL CHECK (octet_length(salt) = 16),
    mac BYTEA CHECK (octet_length(mac) = 32),
    set_at BIGINT NOT NULL,
    earlier BYTEA NOT NULL
);

CREATE TABLE IF NOT EXISTS passkey (
    id BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(id) = 32),
    person BIGINT NOT NULL,
    credential BYTEA NOT NULL,
    public_key BYTEA NOT NULL,
    algorithm TEXT NOT NULL,
    sign_count BIGINT NOT NULL CHECK (sign_count >= 0),
    name TEXT NOT NULL,
    added_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX IF NOT EXISTS passkey_by_person ON passkey (person, added_at);

CREATE TABLE IF NOT EXISTS used_challenge (
    token BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(token) = 16),
    expires_at BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS used_challenge_by_expiry ON used_challenge (expires_at);

CREATE TABLE IF NOT EXISTS allowance (
    key BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(key) = 32),
    used BIGINT NOT NULL CHECK (used >= 0),
    ends_at BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS allowance_by_end ON allowance (ends_at);
