-- People's withdrawals to their cards, and what they move on a day.
ALTER TABLE card ADD COLUMN withdrawals INTEGER NOT NULL DEFAULT 0 CHECK (withdrawals >= 0);
ALTER TABLE attempt ADD COLUMN withdrawal INTEGER;
ALTER TABLE attempt ADD COLUMN fee_minor INTEGER NOT NULL DEFAULT 0 CHECK (fee_minor >= 0);
ALTER TABLE attempt ADD COLUMN fee_currency TEXT NOT NULL DEFAULT 'CNY';

CREATE TABLE withdrawal (
    id              INTEGER NOT NULL PRIMARY KEY,
    person          INTEGER NOT NULL,
    number          TEXT    NOT NULL,
    card            INTEGER NOT NULL,
    network         INTEGER NOT NULL,
    amount_minor    INTEGER NOT NULL CHECK (amount_minor > 0),
    amount_currency TEXT    NOT NULL,
    fee_minor       INTEGER NOT NULL CHECK (fee_minor >= 0),
    fee_currency    TEXT    NOT NULL,
    speed           TEXT    NOT NULL,
    state           TEXT    NOT NULL,
    attempt         INTEGER,
    refusal         TEXT,
    created_at      INTEGER NOT NULL,
    due_at          INTEGER NOT NULL,
    ended_at        INTEGER
) STRICT;

CREATE TABLE withdrawal_number (
    person     INTEGER NOT NULL,
    number     TEXT    NOT NULL,
    withdrawal INTEGER NOT NULL,
    PRIMARY KEY (person, number)
) STRICT, WITHOUT ROWID;

-- The few that have not left yet.
CREATE TABLE waiting_withdrawal (
    withdrawal INTEGER NOT NULL PRIMARY KEY,
    due_at     INTEGER NOT NULL
) STRICT;
CREATE INDEX waiting_withdrawal_by_time ON waiting_withdrawal (due_at);

CREATE TABLE money_tally (
    person             INTEGER NOT NULL PRIMARY KEY,
    day                INTEGER NOT NULL,
    since              INTEGER NOT NULL,
    topped_up_minor    INTEGER NOT NULL CHECK (topped_up_minor >= 0),
    topped_up_currency TEXT    NOT NULL,
    withdrawn_minor    INTEGER NOT NULL CHECK (withdrawn_minor >= 0),
    withdrawn_currency TEXT    NOT NULL,
    withdrawals        INTEGER NOT NULL CHECK (withdrawals >= 0)
) STRICT;
