-- Payments by a code that the payer shows.

-- How each person pays by codes, with the hashes of the newest.
CREATE TABLE payer_codes (
    person     INTEGER NOT NULL PRIMARY KEY,
    "on"       INTEGER NOT NULL CHECK ("on" IN (0, 1)),
    card       INTEGER,
    codes      BLOB    NOT NULL,
    passed_day INTEGER NOT NULL,
    passed     INTEGER NOT NULL
) STRICT;

CREATE TABLE payer_code (
    hash       BLOB    NOT NULL PRIMARY KEY,
    person     INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used       INTEGER NOT NULL CHECK (used IN (0, 1))
) STRICT, WITHOUT ROWID;
CREATE INDEX payer_code_by_expiry ON payer_code (expires_at);

CREATE TABLE code_payment (
    "order"     INTEGER NOT NULL PRIMARY KEY,
    person      INTEGER NOT NULL,
    code        BLOB    NOT NULL,
    asked       INTEGER NOT NULL CHECK (asked IN (0, 1)),
    failure     TEXT,
    reversed_at INTEGER
) STRICT;
CREATE INDEX code_payment_by_person ON code_payment (person, "order");

-- Numbers that stand for no order, ever.
CREATE TABLE reversed_number (
    id           INTEGER NOT NULL PRIMARY KEY,
    mchid        INTEGER NOT NULL,
    out_trade_no TEXT    NOT NULL,
    reversed_at  INTEGER NOT NULL
) STRICT;
