-- How many tries at telling a merchant there were, and how many replays of late.
CREATE TABLE IF NOT EXISTS notice_tally (
    mchid    BIGINT NOT NULL PRIMARY KEY,
    answered BIGINT NOT NULL,
    failed   BIGINT NOT NULL,
    minute   BIGINT NOT NULL,
    replays  BIGINT NOT NULL
) WITH (fillfactor = 50);

-- The newest tries of each merchant. Places are taken in turn, so it never grows beyond them.
CREATE TABLE IF NOT EXISTS delivery (
    mchid   BIGINT NOT NULL,
    slot    BIGINT NOT NULL,
    number  BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    seq     BIGINT NOT NULL,
    tries   BIGINT NOT NULL,
    place   TEXT    NOT NULL,
    outcome TEXT    NOT NULL,
    status  BIGINT,
    took_ms BIGINT NOT NULL,
    said    TEXT,
    PRIMARY KEY (mchid, slot)
);
