-- The wallet as an issuer: apps of others, what holders let them do, and the money that moved by it.
ALTER TABLE message ADD COLUMN agreement INTEGER;

CREATE TABLE issuing_app (
    id         INTEGER NOT NULL PRIMARY KEY,
    app        TEXT    NOT NULL,
    name_zh    TEXT    NOT NULL,
    name_en    TEXT    NOT NULL,
    key_pem    TEXT    NOT NULL,
    suspended  INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE issuing_app_name (
    app TEXT    NOT NULL PRIMARY KEY,
    id  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE agreement (
    id                   INTEGER NOT NULL PRIMARY KEY,
    app                  INTEGER NOT NULL,
    binding              TEXT    NOT NULL,
    content_mac          BLOB    NOT NULL,
    person               INTEGER,
    state                TEXT    NOT NULL,
    refusal              TEXT,
    nonce                BLOB    NOT NULL,
    code_at              INTEGER NOT NULL,
    tries_left           INTEGER NOT NULL,
    codes_sent           INTEGER NOT NULL,
    per_payment_minor    INTEGER NOT NULL CHECK (per_payment_minor > 0),
    per_payment_currency TEXT    NOT NULL,
    per_day_minor        INTEGER NOT NULL CHECK (per_day_minor > 0),
    per_day_currency     TEXT    NOT NULL,
    used_day             INTEGER NOT NULL,
    used_minor           INTEGER NOT NULL CHECK (used_minor >= 0),
    used_currency        TEXT    NOT NULL,
    created_at           INTEGER NOT NULL,
    bound_at             INTEGER,
    ended_at             INTEGER
) STRICT;
CREATE INDEX agreement_by_person ON agreement (person, id) WHERE person IS NOT NULL;

CREATE TABLE agreement_number (
    app       INTEGER NOT NULL,
    binding   TEXT    NOT NULL,
    agreement INTEGER NOT NULL,
    PRIMARY KEY (app, binding)
) STRICT, WITHOUT ROWID;

CREATE TABLE agreement_holder (
    app       INTEGER NOT NULL,
    person    INTEGER NOT NULL,
    agreement INTEGER NOT NULL,
    PRIMARY KEY (app, person)
) STRICT, WITHOUT ROWID;

-- How many codes apps had sent to a person on a day.
CREATE TABLE agreement_tally (
    person INTEGER NOT NULL PRIMARY KEY,
    day    INTEGER NOT NULL,
    asked  INTEGER NOT NULL
) STRICT;

CREATE TABLE app_move (
    id                INTEGER NOT NULL PRIMARY KEY,
    app               INTEGER NOT NULL,
    kind              TEXT    NOT NULL,
    number            TEXT    NOT NULL,
    content_mac       BLOB,
    agreement         INTEGER,
    person            INTEGER,
    original          INTEGER,
    amount_minor      INTEGER NOT NULL CHECK (amount_minor >= 0),
    amount_currency   TEXT    NOT NULL,
    returned_minor    INTEGER NOT NULL CHECK (returned_minor BETWEEN 0 AND amount_minor),
    returned_currency TEXT    NOT NULL,
    description       TEXT    NOT NULL,
    refusal           TEXT,
    at                INTEGER NOT NULL
) STRICT;

CREATE TABLE app_move_number (
    app    INTEGER NOT NULL,
    kind   TEXT    NOT NULL,
    number TEXT    NOT NULL,
    id     INTEGER NOT NULL,
    PRIMARY KEY (app, kind, number)
) STRICT, WITHOUT ROWID;
