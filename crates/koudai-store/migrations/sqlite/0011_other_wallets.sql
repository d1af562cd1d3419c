-- Paying at another wallet: where its person is, and what that wallet knows them by, for as long as the call is open.
ALTER TABLE open_attempt ADD COLUMN scene TEXT;
ALTER TABLE open_attempt ADD COLUMN payer_sealed BLOB;

-- What somebody has at another wallet has no number.
CREATE TABLE card_anew (
    id           INTEGER NOT NULL PRIMARY KEY,
    person       INTEGER NOT NULL,
    network      INTEGER NOT NULL,
    number_mac   BLOB    NOT NULL,
    bank_zh      TEXT    NOT NULL,
    bank_en      TEXT    NOT NULL,
    kind         TEXT    NOT NULL,
    bin          TEXT    NOT NULL CHECK (length(bin) IN (0, 6)),
    last4        TEXT    NOT NULL CHECK (length(last4) IN (0, 4)),
    token_sealed BLOB    NOT NULL,
    bound_at     INTEGER NOT NULL,
    removed_at   INTEGER,
    withdrawals  INTEGER NOT NULL DEFAULT 0 CHECK (withdrawals >= 0)
) STRICT;
INSERT INTO card_anew (id, person, network, number_mac, bank_zh, bank_en, kind, bin, last4, token_sealed, bound_at, removed_at, withdrawals)
    SELECT id, person, network, number_mac, bank_zh, bank_en, kind, bin, last4, token_sealed, bound_at, removed_at, withdrawals FROM card;
DROP TABLE card;
ALTER TABLE card_anew RENAME TO card;
CREATE INDEX card_by_person ON card (person, id);
