-- How many tries at telling a merchant there were, and how many replays of late.
CREATE TABLE notice_tally (
    mchid    INTEGER NOT NULL PRIMARY KEY,
    answered INTEGER NOT NULL,
    failed   INTEGER NOT NULL,
    minute   INTEGER NOT NULL,
    replays  INTEGER NOT NULL
) STRICT;

-- The newest tries of each merchant. Places are taken in turn, so it never grows beyond them.
CREATE TABLE delivery (
    mchid   INTEGER NOT NULL,
    slot    INTEGER NOT NULL,
    number  INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    tries   INTEGER NOT NULL,
    place   TEXT    NOT NULL,
    outcome TEXT    NOT NULL,
    status  INTEGER,
    took_ms INTEGER NOT NULL,
    said    TEXT,
    PRIMARY KEY (mchid, slot)
) STRICT, WITHOUT ROWID;
