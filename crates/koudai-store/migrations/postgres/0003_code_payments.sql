-- Payments by a code that the payer shows.

-- How each person pays by codes, with the hashes of the newest.
CREATE TABLE IF NOT EXISTS payer_codes (
    person     BIGINT NOT NULL PRIMARY KEY,
    "on"       BIGINT NOT NULL CHECK ("on" IN (0, 1)),
    card       BIGINT,
    codes      BYTEA NOT NULL,
    passed_day BIGINT NOT NULL,
    passed     BIGINT NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE IF NOT EXISTS payer_code (
    hash       BYTEA NOT NULL PRIMARY KEY,
    person     BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used       BIGINT NOT NULL CHECK (used IN (0, 1))
);
CREATE INDEX IF NOT EXISTS payer_code_by_expiry ON payer_code (expires_at);

CREATE TABLE IF NOT EXISTS code_payment (
    "order"     BIGINT NOT NULL PRIMARY KEY,
    person      BIGINT NOT NULL,
    code        BYTEA NOT NULL,
    asked       BIGINT NOT NULL CHECK (asked IN (0, 1)),
    failure     TEXT,
    reversed_at BIGINT
);
CREATE INDEX IF NOT EXISTS code_payment_by_person ON code_payment (person, "order");

-- Numbers that stand for no order, ever.
CREATE TABLE IF NOT EXISTS reversed_number (
    id           BIGINT NOT NULL PRIMARY KEY,
    mchid        BIGINT NOT NULL,
    out_trade_no TEXT COLLATE "C" NOT NULL,
    reversed_at  BIGINT NOT NULL
);
