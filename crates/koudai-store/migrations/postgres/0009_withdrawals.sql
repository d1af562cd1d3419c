-- People's withdrawals to their cards, and what they move on a day.
ALTER TABLE card ADD COLUMN IF NOT EXISTS withdrawals BIGINT NOT NULL DEFAULT 0 CHECK (withdrawals >= 0);
ALTER TABLE attempt ADD COLUMN IF NOT EXISTS withdrawal BIGINT;
ALTER TABLE attempt ADD COLUMN IF NOT EXISTS fee_minor BIGINT NOT NULL DEFAULT 0 CHECK (fee_minor >= 0);
ALTER TABLE attempt ADD COLUMN IF NOT EXISTS fee_currency TEXT NOT NULL DEFAULT 'CNY';

CREATE TABLE IF NOT EXISTS withdrawal (
    id              BIGINT NOT NULL PRIMARY KEY,
    person          BIGINT NOT NULL,
    number          TEXT NOT NULL,
    card            BIGINT NOT NULL,
    network         BIGINT NOT NULL,
    amount_minor    BIGINT NOT NULL CHECK (amount_minor > 0),
    amount_currency TEXT NOT NULL,
    fee_minor       BIGINT NOT NULL CHECK (fee_minor >= 0),
    fee_currency    TEXT NOT NULL,
    speed           TEXT NOT NULL,
    state           TEXT NOT NULL,
    attempt         BIGINT,
    refusal         TEXT,
    created_at      BIGINT NOT NULL,
    due_at          BIGINT NOT NULL,
    ended_at        BIGINT
);

CREATE TABLE IF NOT EXISTS withdrawal_number (
    person     BIGINT NOT NULL,
    number     TEXT COLLATE "C" NOT NULL,
    withdrawal BIGINT NOT NULL,
    PRIMARY KEY (person, number)
);

-- The few that have not left yet.
CREATE TABLE IF NOT EXISTS waiting_withdrawal (
    withdrawal BIGINT NOT NULL PRIMARY KEY,
    due_at     BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS waiting_withdrawal_by_time ON waiting_withdrawal (due_at);

CREATE TABLE IF NOT EXISTS money_tally (
    person             BIGINT NOT NULL PRIMARY KEY,
    day                BIGINT NOT NULL,
    since              BIGINT NOT NULL,
    topped_up_minor    BIGINT NOT NULL CHECK (topped_up_minor >= 0),
    topped_up_currency TEXT NOT NULL,
    withdrawn_minor    BIGINT NOT NULL CHECK (withdrawn_minor >= 0),
    withdrawn_currency TEXT NOT NULL,
    withdrawals        BIGINT NOT NULL CHECK (withdrawals >= 0)
);
