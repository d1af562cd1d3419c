-- Reconciliation: networks' books as they were read, the days compared, and what differed.
-- A line of a network's books, as it came.
CREATE TABLE statement_line (
    network      INTEGER NOT NULL,
    no           INTEGER NOT NULL,
    way          TEXT    NOT NULL,
    number       TEXT    NOT NULL,
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    at           INTEGER NOT NULL,
    day          INTEGER NOT NULL,
    PRIMARY KEY (network, no)
) STRICT, WITHOUT ROWID;
CREATE INDEX statement_line_by_day ON statement_line (network, day, no);
CREATE INDEX statement_line_by_number ON statement_line (network, number);

CREATE TABLE statement_cursor (
    network     INTEGER NOT NULL PRIMARY KEY,
    after       INTEGER NOT NULL,
    lines       INTEGER NOT NULL,
    end_seen_at INTEGER
) STRICT;

CREATE TABLE reconciliation (
    network         INTEGER NOT NULL,
    day             INTEGER NOT NULL,
    state           TEXT    NOT NULL,
    their_count     INTEGER NOT NULL,
    their_in_minor  INTEGER NOT NULL,
    their_out_minor INTEGER NOT NULL,
    our_count       INTEGER NOT NULL,
    our_in_minor    INTEGER NOT NULL,
    our_out_minor   INTEGER NOT NULL,
    unknown         INTEGER NOT NULL,
    found           INTEGER NOT NULL,
    at              INTEGER NOT NULL,
    PRIMARY KEY (network, day)
) STRICT, WITHOUT ROWID;

CREATE TABLE difference (
    id           INTEGER NOT NULL PRIMARY KEY,
    network      INTEGER NOT NULL,
    number       TEXT    NOT NULL,
    day          INTEGER NOT NULL,
    class        TEXT    NOT NULL,
    ours_minor   INTEGER NOT NULL,
    theirs_minor INTEGER NOT NULL,
    gap_minor    INTEGER NOT NULL,
    state        TEXT    NOT NULL,
    found_at     INTEGER NOT NULL,
    resolved_at  INTEGER,
    proposed_by  TEXT,
    approved_by  TEXT,
    note         TEXT
) STRICT;
CREATE INDEX difference_by_state ON difference (network, state, id);
CREATE INDEX difference_by_day ON difference (network, day, id);

CREATE TABLE difference_number (
    network        INTEGER NOT NULL,
    number         TEXT    NOT NULL,
    newest         INTEGER NOT NULL,
    adjusted_minor INTEGER NOT NULL,
    PRIMARY KEY (network, number)
) STRICT, WITHOUT ROWID;

-- What a network did on a day, as we have it.
CREATE INDEX attempt_by_end ON attempt (network, ended_at, id) WHERE state = 'succeeded';
