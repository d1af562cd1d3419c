-- Reconciliation: networks' books as they were read, the days compared, and what differed.
-- A line of a network's books, as it came.
CREATE TABLE IF NOT EXISTS statement_line (
    network      BIGINT NOT NULL,
    no           BIGINT NOT NULL,
    way          TEXT NOT NULL,
    number       TEXT COLLATE "C" NOT NULL,
    amount_minor BIGINT NOT NULL CHECK (amount_minor > 0),
    at           BIGINT NOT NULL,
    day          BIGINT NOT NULL,
    PRIMARY KEY (network, no)
);
CREATE INDEX IF NOT EXISTS statement_line_by_day ON statement_line (network, day, no);
CREATE INDEX IF NOT EXISTS statement_line_by_number ON statement_line (network, number);

CREATE TABLE IF NOT EXISTS statement_cursor (
    network     BIGINT NOT NULL PRIMARY KEY,
    after       BIGINT NOT NULL,
    lines       BIGINT NOT NULL,
    end_seen_at BIGINT
);

CREATE TABLE IF NOT EXISTS reconciliation (
    network         BIGINT NOT NULL,
    day             BIGINT NOT NULL,
    state           TEXT NOT NULL,
    their_count     BIGINT NOT NULL,
    their_in_minor  BIGINT NOT NULL,
    their_out_minor BIGINT NOT NULL,
    our_count       BIGINT NOT NULL,
    our_in_minor    BIGINT NOT NULL,
    our_out_minor   BIGINT NOT NULL,
    unknown         BIGINT NOT NULL,
    found           BIGINT NOT NULL,
    at              BIGINT NOT NULL,
    PRIMARY KEY (network, day)
);

CREATE TABLE IF NOT EXISTS difference (
    id           BIGINT NOT NULL PRIMARY KEY,
    network      BIGINT NOT NULL,
    number       TEXT NOT NULL,
    day          BIGINT NOT NULL,
    class        TEXT NOT NULL,
    ours_minor   BIGINT NOT NULL,
    theirs_minor BIGINT NOT NULL,
    gap_minor    BIGINT NOT NULL,
    state        TEXT NOT NULL,
    found_at     BIGINT NOT NULL,
    resolved_at  BIGINT,
    proposed_by  TEXT,
    approved_by  TEXT,
    note         TEXT
);
CREATE INDEX IF NOT EXISTS difference_by_state ON difference (network, state, id);
CREATE INDEX IF NOT EXISTS difference_by_day ON difference (network, day, id);

CREATE TABLE IF NOT EXISTS difference_number (
    network        BIGINT NOT NULL,
    number         TEXT COLLATE "C" NOT NULL,
    newest         BIGINT NOT NULL,
    adjusted_minor BIGINT NOT NULL,
    PRIMARY KEY (network, number)
);

-- What a network did on a day, as we have it.
CREATE INDEX IF NOT EXISTS attempt_by_end ON attempt (network, ended_at, id) WHERE state = 'succeeded';
