-- Merchants' transfers to people.
ALTER TABLE merchant ADD COLUMN transfer_scenes TEXT NOT NULL DEFAULT '';

CREATE TABLE transfer (
    id              INTEGER NOT NULL PRIMARY KEY,
    mchid           INTEGER NOT NULL,
    appid           TEXT    NOT NULL,
    out_bill_no     TEXT    NOT NULL,
    scene           TEXT    NOT NULL,
    payee           INTEGER NOT NULL,
    amount_minor    INTEGER NOT NULL CHECK (amount_minor > 0),
    amount_currency TEXT    NOT NULL,
    remark          TEXT    NOT NULL,
    perception      TEXT,
    report          TEXT    NOT NULL,
    notify_url      TEXT,
    name_mac        BLOB,
    name_sealed     BLOB,
    state           TEXT    NOT NULL,
    failure         TEXT,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    ended_at        INTEGER
) STRICT;

CREATE TABLE transfer_number (
    mchid       INTEGER NOT NULL,
    out_bill_no TEXT    NOT NULL,
    transfer    INTEGER NOT NULL,
    PRIMARY KEY (mchid, out_bill_no)
) STRICT, WITHOUT ROWID;

-- The few that wait for their payee.
CREATE TABLE waiting_transfer (
    transfer   INTEGER NOT NULL PRIMARY KEY,
    payee      INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX waiting_transfer_by_payee ON waiting_transfer (payee, transfer);
CREATE INDEX waiting_transfer_by_expiry ON waiting_transfer (expires_at);
