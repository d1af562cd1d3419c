-- Merchants' transfers to people.
ALTER TABLE merchant ADD COLUMN IF NOT EXISTS transfer_scenes TEXT NOT NULL DEFAULT '';

CREATE TABLE IF NOT EXISTS transfer (
    id              BIGINT NOT NULL PRIMARY KEY,
    mchid           BIGINT NOT NULL,
    appid           TEXT NOT NULL,
    out_bill_no     TEXT NOT NULL,
    scene           TEXT NOT NULL,
    payee           BIGINT NOT NULL,
    amount_minor    BIGINT NOT NULL CHECK (amount_minor > 0),
    amount_currency TEXT NOT NULL,
    remark          TEXT NOT NULL,
    perception      TEXT,
    report          TEXT NOT NULL,
    notify_url      TEXT,
    name_mac        BYTEA,
    name_sealed     BYTEA,
    state           TEXT NOT NULL,
    failure         TEXT,
    created_at      BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    ended_at        BIGINT
);

CREATE TABLE IF NOT EXISTS transfer_number (
    mchid       BIGINT NOT NULL,
    out_bill_no TEXT COLLATE "C" NOT NULL,
    transfer    BIGINT NOT NULL,
    PRIMARY KEY (mchid, out_bill_no)
);

-- The few that wait for their payee.
CREATE TABLE IF NOT EXISTS waiting_transfer (
    transfer   BIGINT NOT NULL PRIMARY KEY,
    payee      BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS waiting_transfer_by_payee ON waiting_transfer (payee, transfer);
CREATE INDEX IF NOT EXISTS waiting_transfer_by_expiry ON waiting_transfer (expires_at);
