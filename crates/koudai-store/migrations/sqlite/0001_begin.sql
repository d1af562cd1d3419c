-- The first shape of the database. Columns follow the row declarations of koudai-core, which a test compares.

-- Who may commit: every transaction's seal takes its epoch from here. The heartbeat is the moment the newest id carries.
CREATE TABLE lease (
    partition    INTEGER NOT NULL PRIMARY KEY,
    epoch        INTEGER NOT NULL,
    heartbeat_ms INTEGER NOT NULL
) STRICT;

-- What happened, in order and for good. The body is the canonical form that the seals cover.
-- There is one partition in a file, so that the number alone is the key, and a new journal is appended without a search.
CREATE TABLE journal (
    seq       INTEGER NOT NULL PRIMARY KEY,
    partition INTEGER NOT NULL CHECK (partition = 1),
    body      BLOB    NOT NULL,
    crc       INTEGER NOT NULL
) STRICT;

-- One seal a transaction. `previous` and `epoch` are filled by subqueries, so that a stale owner breaks NOT NULL.
CREATE TABLE seal (
    partition INTEGER NOT NULL,
    no        INTEGER NOT NULL,
    previous  BLOB    NOT NULL CHECK (length(previous) = 32),
    epoch     INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq  INTEGER NOT NULL,
    root      BLOB    NOT NULL CHECK (length(root) = 32),
    hash      BLOB    NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (partition, no)
) STRICT, WITHOUT ROWID;

-- Derived and written behind, like `balance`: every 32nd journal of an account's history. The others are reached by the
-- pointers in the journals.
CREATE TABLE history (
    account INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    PRIMARY KEY (account, seq)
) STRICT, WITHOUT ROWID;

-- Derived: how each account stands, and the journal that is true at.
CREATE TABLE balance (
    account       INTEGER NOT NULL PRIMARY KEY,
    as_of         INTEGER NOT NULL,
    currency      TEXT    NOT NULL CHECK (length(currency) = 3),
    debits_minor  INTEGER NOT NULL CHECK (debits_minor >= 0),
    credits_minor INTEGER NOT NULL CHECK (credits_minor >= 0),
    lines         INTEGER NOT NULL CHECK (lines > 0),
    crc           INTEGER NOT NULL
) STRICT;

-- How far the derived tables are written: true at this journal or a later one. Opening replays the journals after it.
CREATE TABLE derived (
    partition INTEGER NOT NULL PRIMARY KEY,
    watermark INTEGER NOT NULL
) STRICT;

CREATE TABLE person (
    id                  INTEGER NOT NULL PRIMARY KEY,
    phone               TEXT    NOT NULL,
    created_at          INTEGER NOT NULL,
    frozen              INTEGER NOT NULL CHECK (frozen IN (0, 1)),
    cards               INTEGER NOT NULL CHECK (cards >= 0),
    failed_bindings     INTEGER NOT NULL CHECK (failed_bindings >= 0),
    failed_bindings_day INTEGER NOT NULL
) STRICT;

CREATE TABLE phone_owner (
    phone  TEXT    NOT NULL PRIMARY KEY,
    person INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE identity (
    person           INTEGER NOT NULL PRIMARY KEY,
    mac              BLOB    NOT NULL,
    name_masked      TEXT    NOT NULL,
    id_number_masked TEXT    NOT NULL,
    sealed           BLOB    NOT NULL,
    proven_at        INTEGER NOT NULL
) STRICT;

CREATE TABLE session (
    token_hash BLOB    NOT NULL PRIMARY KEY,
    person     INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE one_time_code (
    phone      TEXT    NOT NULL,
    purpose    TEXT    NOT NULL,
    nonce      BLOB    NOT NULL,
    asked_at   INTEGER NOT NULL,
    tries_left INTEGER NOT NULL CHECK (tries_left >= 0),
    hour_from  INTEGER NOT NULL,
    in_hour    INTEGER NOT NULL,
    day        INTEGER NOT NULL,
    in_day     INTEGER NOT NULL,
    PRIMARY KEY (phone, purpose)
) STRICT, WITHOUT ROWID;

CREATE TABLE payment_password (
    person       INTEGER NOT NULL PRIMARY KEY,
    salt         BLOB    NOT NULL,
    mac          BLOB    NOT NULL,
    wrong        INTEGER NOT NULL CHECK (wrong >= 0),
    locked_until INTEGER NOT NULL,
    set_at       INTEGER NOT NULL
) STRICT;

CREATE TABLE card (
    id           INTEGER NOT NULL PRIMARY KEY,
    person       INTEGER NOT NULL,
    network      INTEGER NOT NULL,
    number_mac   BLOB    NOT NULL,
    bank_zh      TEXT    NOT NULL,
    bank_en      TEXT    NOT NULL,
    kind         TEXT    NOT NULL,
    bin          TEXT    NOT NULL CHECK (length(bin) = 6),
    last4        TEXT    NOT NULL CHECK (length(last4) = 4),
    token_sealed BLOB    NOT NULL,
    bound_at     INTEGER NOT NULL,
    removed_at   INTEGER
) STRICT;
CREATE INDEX card_by_person ON card (person, id);

CREATE TABLE card_owner (
    number_mac BLOB    NOT NULL PRIMARY KEY,
    person     INTEGER NOT NULL,
    card       INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE binding (
    id               INTEGER NOT NULL PRIMARY KEY,
    person           INTEGER NOT NULL,
    number           TEXT    NOT NULL,
    network          INTEGER NOT NULL,
    number_mac       BLOB    NOT NULL,
    bin              TEXT    NOT NULL,
    last4            TEXT    NOT NULL,
    identity_mac     BLOB    NOT NULL,
    name_masked      TEXT    NOT NULL,
    id_number_masked TEXT    NOT NULL,
    identity_sealed  BLOB    NOT NULL,
    phone_masked     TEXT    NOT NULL,
    bank_zh          TEXT    NOT NULL,
    bank_en          TEXT    NOT NULL,
    kind             TEXT    NOT NULL,
    state            TEXT    NOT NULL,
    refusal          TEXT,
    card             INTEGER,
    created_at       INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL
) STRICT;

CREATE TABLE binding_number (
    person  INTEGER NOT NULL,
    number  TEXT    NOT NULL,
    binding INTEGER NOT NULL,
    PRIMARY KEY (person, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE merchant (
    mchid             INTEGER NOT NULL PRIMARY KEY,
    name              TEXT    NOT NULL,
    appid             TEXT    NOT NULL,
    products          TEXT    NOT NULL,
    suspended         INTEGER NOT NULL CHECK (suspended IN (0, 1)),
    fee_ppm           INTEGER NOT NULL CHECK (fee_ppm BETWEEN 0 AND 1000000),
    apiv3_key_sealed  BLOB    NOT NULL,
    public_key_mode   INTEGER NOT NULL CHECK (public_key_mode IN (0, 1)),
    h5_domains        TEXT    NOT NULL,
    created_at        INTEGER NOT NULL
) STRICT;

CREATE TABLE app (
    appid TEXT    NOT NULL PRIMARY KEY,
    mchid INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE merchant_count (
    id   INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    next INTEGER NOT NULL
) STRICT;

CREATE TABLE merchant_certificate (
    mchid      INTEGER NOT NULL,
    serial     TEXT    NOT NULL,
    pem        TEXT    NOT NULL,
    not_before INTEGER NOT NULL,
    not_after  INTEGER NOT NULL,
    revoked_at INTEGER,
    PRIMARY KEY (mchid, serial)
) STRICT, WITHOUT ROWID;

-- What was ordered, and the code that stands for it. Wide, and rewritten only for a new code.
CREATE TABLE trade_order (
    id              INTEGER NOT NULL PRIMARY KEY,
    mchid           INTEGER NOT NULL,
    appid           TEXT    NOT NULL,
    out_trade_no    TEXT    NOT NULL,
    product         TEXT    NOT NULL,
    description     TEXT    NOT NULL,
    attach          TEXT,
    notify_url      TEXT    NOT NULL,
    goods_tag       TEXT,
    detail          TEXT,
    scene_info      TEXT,
    settle_info     TEXT,
    amount_minor    INTEGER NOT NULL CHECK (amount_minor > 0),
    amount_currency TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    code            BLOB    NOT NULL,
    code_expires_at INTEGER NOT NULL
) STRICT;

-- How far each order has come: the narrow half that a payment rewrites.
CREATE TABLE order_progress (
    id                    INTEGER NOT NULL PRIMARY KEY,
    state                 TEXT    NOT NULL,
    payer                 INTEGER,
    card                  INTEGER,
    attempt               INTEGER,
    paid_at               INTEGER,
    paid_seq              INTEGER,
    fee_minor             INTEGER NOT NULL CHECK (fee_minor >= 0),
    fee_currency          TEXT    NOT NULL,
    refunded_minor        INTEGER NOT NULL CHECK (refunded_minor >= 0),
    refunded_currency     TEXT    NOT NULL,
    fee_returned_minor    INTEGER NOT NULL CHECK (fee_returned_minor BETWEEN 0 AND fee_minor),
    fee_returned_currency TEXT    NOT NULL,
    refunds               INTEGER NOT NULL CHECK (refunds >= 0)
) STRICT;

CREATE TABLE order_number (
    mchid        INTEGER NOT NULL,
    out_trade_no TEXT    NOT NULL,
    "order"      INTEGER NOT NULL,
    PRIMARY KEY (mchid, out_trade_no)
) STRICT, WITHOUT ROWID;

CREATE TABLE order_code (
    token      BLOB    NOT NULL PRIMARY KEY,
    "order"    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX order_code_by_expiry ON order_code (expires_at);

CREATE TABLE refund (
    id                    INTEGER NOT NULL PRIMARY KEY,
    mchid                 INTEGER NOT NULL,
    out_refund_no         TEXT    NOT NULL,
    "order"               INTEGER NOT NULL,
    amount_minor          INTEGER NOT NULL CHECK (amount_minor > 0),
    amount_currency       TEXT    NOT NULL,
    reason                TEXT,
    notify_url            TEXT,
    state                 TEXT    NOT NULL,
    payer                 INTEGER NOT NULL,
    card                  INTEGER,
    attempt               INTEGER,
    fee_returned_minor    INTEGER NOT NULL CHECK (fee_returned_minor >= 0),
    fee_returned_currency TEXT    NOT NULL,
    created_at            INTEGER NOT NULL,
    success_at            INTEGER
) STRICT;
CREATE INDEX refund_by_order ON refund ("order", id);

CREATE TABLE refund_number (
    mchid         INTEGER NOT NULL,
    out_refund_no TEXT    NOT NULL,
    refund        INTEGER NOT NULL,
    PRIMARY KEY (mchid, out_refund_no)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempt (
    id              INTEGER NOT NULL PRIMARY KEY,
    kind            TEXT    NOT NULL,
    person          INTEGER NOT NULL,
    card            INTEGER NOT NULL,
    network         INTEGER NOT NULL,
    amount_minor    INTEGER NOT NULL CHECK (amount_minor > 0),
    amount_currency TEXT    NOT NULL,
    "order"         INTEGER,
    refund          INTEGER,
    original        INTEGER,
    state           TEXT    NOT NULL,
    refusal         TEXT,
    network_ref     TEXT,
    created_at      INTEGER NOT NULL,
    ended_at        INTEGER,
    epoch           INTEGER NOT NULL
) STRICT;
CREATE INDEX attempt_by_person ON attempt (person, id);

CREATE TABLE attempt_number (
    person  INTEGER NOT NULL,
    number  TEXT    NOT NULL,
    attempt INTEGER NOT NULL,
    PRIMARY KEY (person, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE open_attempt (
    attempt    INTEGER NOT NULL PRIMARY KEY,
    next_at    INTEGER NOT NULL,
    tries      INTEGER NOT NULL,
    send_until INTEGER NOT NULL
) STRICT;
CREATE INDEX open_attempt_by_time ON open_attempt (next_at);

CREATE TABLE message (
    id         INTEGER NOT NULL PRIMARY KEY,
    phone      TEXT    NOT NULL,
    purpose    TEXT    NOT NULL,
    nonce      BLOB    NOT NULL,
    next_at    INTEGER NOT NULL,
    tries      INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX message_by_time ON message (next_at);

CREATE TABLE notice_cursor (
    mchid INTEGER NOT NULL PRIMARY KEY,
    told  INTEGER NOT NULL
) STRICT;

CREATE TABLE notice_retry (
    mchid   INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    tries   INTEGER NOT NULL,
    next_at INTEGER,
    PRIMARY KEY (mchid, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX notice_retry_by_time ON notice_retry (next_at);

CREATE TABLE staff (
    name           TEXT    NOT NULL PRIMARY KEY,
    id             INTEGER NOT NULL,
    role           TEXT    NOT NULL,
    enrolment_hash BLOB    NOT NULL,
    created_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
