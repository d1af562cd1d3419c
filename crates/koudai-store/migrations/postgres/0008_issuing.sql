-- The wallet as an issuer: apps of others, what holders let them do, and the money that moved by it.
ALTER TABLE message ADD COLUMN IF NOT EXISTS agreement BIGINT;

CREATE TABLE IF NOT EXISTS issuing_app (
    id         BIGINT NOT NULL PRIMARY KEY,
    app        TEXT NOT NULL,
    name_zh    TEXT NOT NULL,
    name_en    TEXT NOT NULL,
    key_pem    TEXT NOT NULL,
    suspended  BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS issuing_app_name (
    app TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    id  BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS agreement (
    id                   BIGINT NOT NULL PRIMARY KEY,
    app                  BIGINT NOT NULL,
    binding              TEXT NOT NULL,
    content_mac          BYTEA NOT NULL,
    person               BIGINT,
    state                TEXT NOT NULL,
    refusal              TEXT,
    nonce                BYTEA NOT NULL,
    code_at              BIGINT NOT NULL,
    tries_left           BIGINT NOT NULL,
    codes_sent           BIGINT NOT NULL,
    per_payment_minor    BIGINT NOT NULL CHECK (per_payment_minor > 0),
    per_payment_currency TEXT NOT NULL,
    per_day_minor        BIGINT NOT NULL CHECK (per_day_minor > 0),
    per_day_currency     TEXT NOT NULL,
    used_day             BIGINT NOT NULL,
    used_minor           BIGINT NOT NULL CHECK (used_minor >= 0),
    used_currency        TEXT NOT NULL,
    created_at           BIGINT NOT NULL,
    bound_at             BIGINT,
    ended_at             BIGINT
);
CREATE INDEX IF NOT EXISTS agreement_by_person ON agreement (person, id) WHERE person IS NOT NULL;

CREATE TABLE IF NOT EXISTS agreement_number (
    app       BIGINT NOT NULL,
    binding   TEXT COLLATE "C" NOT NULL,
    agreement BIGINT NOT NULL,
    PRIMARY KEY (app, binding)
);

CREATE TABLE IF NOT EXISTS agreement_holder (
    app       BIGINT NOT NULL,
    person    BIGINT NOT NULL,
    agreement BIGINT NOT NULL,
    PRIMARY KEY (app, person)
);

-- How many codes apps had sent to a person on a day.
CREATE TABLE IF NOT EXISTS agreement_tally (
    person BIGINT NOT NULL PRIMARY KEY,
    day    BIGINT NOT NULL,
    asked  BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS app_move (
    id                BIGINT NOT NULL PRIMARY KEY,
    app               BIGINT NOT NULL,
    kind              TEXT NOT NULL,
    number            TEXT NOT NULL,
    content_mac       BYTEA,
    agreement         BIGINT,
    person            BIGINT,
    original          BIGINT,
    amount_minor      BIGINT NOT NULL CHECK (amount_minor >= 0),
    amount_currency   TEXT NOT NULL,
    returned_minor    BIGINT NOT NULL CHECK (returned_minor BETWEEN 0 AND amount_minor),
    returned_currency TEXT NOT NULL,
    description       TEXT NOT NULL,
    refusal           TEXT,
    at                BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS app_move_number (
    app    BIGINT NOT NULL,
    kind   TEXT COLLATE "C" NOT NULL,
    number TEXT COLLATE "C" NOT NULL,
    id     BIGINT NOT NULL,
    PRIMARY KEY (app, kind, number)
);
