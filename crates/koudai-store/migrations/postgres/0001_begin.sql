-- The first shape of the database, the pair of migrations/sqlite/0001_begin.sql: the same tables with the same columns.
--
-- Each statement runs alone, in a transaction of its own, and may run again: a start that was cut short goes on at the next.
-- Texts that are keys compare by their bytes, whatever the server's language. Where rows are updated, pages are filled by
-- half, so that the new row fits beside the old one.

-- Who may commit: every transaction's seal takes its epoch from here. The heartbeat is the moment the newest id carries.
CREATE TABLE IF NOT EXISTS lease (
    partition    BIGINT NOT NULL PRIMARY KEY,
    epoch        BIGINT NOT NULL,
    heartbeat_ms BIGINT NOT NULL
);

-- Which scripts have run.
CREATE TABLE IF NOT EXISTS version (
    number BIGINT NOT NULL PRIMARY KEY
);

-- What happened, in order and for good. The body is the canonical form that the seals cover.
CREATE TABLE IF NOT EXISTS journal (
    seq       BIGINT NOT NULL,
    partition BIGINT NOT NULL,
    body      BYTEA NOT NULL,
    crc       BIGINT NOT NULL,
    PRIMARY KEY (partition, seq)
);

-- One seal a transaction. `previous` and `epoch` are filled by subqueries, so that a stale owner breaks NOT NULL.
CREATE TABLE IF NOT EXISTS seal (
    partition BIGINT NOT NULL,
    no        BIGINT NOT NULL,
    previous  BYTEA NOT NULL CHECK (length(previous) = 32),
    epoch     BIGINT NOT NULL,
    first_seq BIGINT NOT NULL,
    last_seq  BIGINT NOT NULL,
    root      BYTEA NOT NULL CHECK (length(root) = 32),
    hash      BYTEA NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (partition, no)
);

-- Derived and written behind, like `balance`: every 32nd journal of an account's history. The others are reached by the
-- pointers in the journals.
CREATE TABLE IF NOT EXISTS history (
    account BIGINT NOT NULL,
    seq     BIGINT NOT NULL,
    PRIMARY KEY (account, seq)
);

-- Derived: how each account stands, and the journal that is true at.
CREATE TABLE IF NOT EXISTS balance (
    account       BIGINT NOT NULL PRIMARY KEY,
    as_of         BIGINT NOT NULL,
    currency      TEXT NOT NULL CHECK (length(currency) = 3),
    debits_minor  BIGINT NOT NULL CHECK (debits_minor >= 0),
    credits_minor BIGINT NOT NULL CHECK (credits_minor >= 0),
    lines         BIGINT NOT NULL CHECK (lines > 0),
    crc           BIGINT NOT NULL
) WITH (fillfactor = 50);

-- How far the derived tables are written: true at this journal or a later one. Opening replays the journals after it.
CREATE TABLE IF NOT EXISTS derived (
    partition BIGINT NOT NULL PRIMARY KEY,
    watermark BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS person (
    id                  BIGINT NOT NULL PRIMARY KEY,
    phone               TEXT NOT NULL,
    created_at          BIGINT NOT NULL,
    frozen              BIGINT NOT NULL CHECK (frozen IN (0, 1)),
    cards               BIGINT NOT NULL CHECK (cards >= 0),
    failed_bindings     BIGINT NOT NULL CHECK (failed_bindings >= 0),
    failed_bindings_day BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS phone_owner (
    phone  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    person BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS identity (
    person           BIGINT NOT NULL PRIMARY KEY,
    mac              BYTEA NOT NULL,
    name_masked      TEXT NOT NULL,
    id_number_masked TEXT NOT NULL,
    sealed           BYTEA NOT NULL,
    proven_at        BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS session (
    token_hash BYTEA NOT NULL PRIMARY KEY,
    person     BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS one_time_code (
    phone      TEXT COLLATE "C" NOT NULL,
    purpose    TEXT COLLATE "C" NOT NULL,
    nonce      BYTEA NOT NULL,
    asked_at   BIGINT NOT NULL,
    tries_left BIGINT NOT NULL CHECK (tries_left >= 0),
    hour_from  BIGINT NOT NULL,
    in_hour    BIGINT NOT NULL,
    day        BIGINT NOT NULL,
    in_day     BIGINT NOT NULL,
    PRIMARY KEY (phone, purpose)
);

CREATE TABLE IF NOT EXISTS payment_password (
    person       BIGINT NOT NULL PRIMARY KEY,
    salt         BYTEA NOT NULL,
    mac          BYTEA NOT NULL,
    wrong        BIGINT NOT NULL CHECK (wrong >= 0),
    locked_until BIGINT NOT NULL,
    set_at       BIGINT NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE IF NOT EXISTS card (
    id           BIGINT NOT NULL PRIMARY KEY,
    person       BIGINT NOT NULL,
    network      BIGINT NOT NULL,
    number_mac   BYTEA NOT NULL,
    bank_zh      TEXT NOT NULL,
    bank_en      TEXT NOT NULL,
    kind         TEXT NOT NULL,
    bin          TEXT NOT NULL CHECK (length(bin) = 6),
    last4        TEXT NOT NULL CHECK (length(last4) = 4),
    token_sealed BYTEA NOT NULL,
    bound_at     BIGINT NOT NULL,
    removed_at   BIGINT
);
CREATE INDEX IF NOT EXISTS card_by_person ON card (person, id);

CREATE TABLE IF NOT EXISTS card_owner (
    number_mac BYTEA NOT NULL PRIMARY KEY,
    person     BIGINT NOT NULL,
    card       BIGINT
);

CREATE TABLE IF NOT EXISTS binding (
    id               BIGINT NOT NULL PRIMARY KEY,
    person           BIGINT NOT NULL,
    number           TEXT NOT NULL,
    network          BIGINT NOT NULL,
    number_mac       BYTEA NOT NULL,
    bin              TEXT NOT NULL,
    last4            TEXT NOT NULL,
    identity_mac     BYTEA NOT NULL,
    name_masked      TEXT NOT NULL,
    id_number_masked TEXT NOT NULL,
    identity_sealed  BYTEA NOT NULL,
    phone_masked     TEXT NOT NULL,
    bank_zh          TEXT NOT NULL,
    bank_en          TEXT NOT NULL,
    kind             TEXT NOT NULL,
    state            TEXT NOT NULL,
    refusal          TEXT,
    card             BIGINT,
    created_at       BIGINT NOT NULL,
    expires_at       BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS binding_number (
    person  BIGINT NOT NULL,
    number  TEXT COLLATE "C" NOT NULL,
    binding BIGINT NOT NULL,
    PRIMARY KEY (person, number)
);

CREATE TABLE IF NOT EXISTS merchant (
    mchid             BIGINT NOT NULL PRIMARY KEY,
    name              TEXT NOT NULL,
    appid             TEXT NOT NULL,
    products          TEXT NOT NULL,
    suspended         BIGINT NOT NULL CHECK (suspended IN (0, 1)),
    fee_ppm           BIGINT NOT NULL CHECK (fee_ppm BETWEEN 0 AND 1000000),
    apiv3_key_sealed  BYTEA NOT NULL,
    public_key_mode   BIGINT NOT NULL CHECK (public_key_mode IN (0, 1)),
    h5_domains        TEXT NOT NULL,
    created_at        BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS app (
    appid TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    mchid BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS merchant_count (
    id   BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    next BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS merchant_certificate (
    mchid      BIGINT NOT NULL,
    serial     TEXT COLLATE "C" NOT NULL,
    pem        TEXT NOT NULL,
    not_before BIGINT NOT NULL,
    not_after  BIGINT NOT NULL,
    revoked_at BIGINT,
    PRIMARY KEY (mchid, serial)
);

-- What was ordered, and the code that stands for it. Wide, and rewritten only for a new code.
CREATE TABLE IF NOT EXISTS trade_order (
    id              BIGINT NOT NULL PRIMARY KEY,
    mchid           BIGINT NOT NULL,
    appid           TEXT NOT NULL,
    out_trade_no    TEXT NOT NULL,
    product         TEXT NOT NULL,
    description     TEXT NOT NULL,
    attach          TEXT,
    notify_url      TEXT NOT NULL,
    goods_tag       TEXT,
    detail          TEXT,
    scene_info      TEXT,
    settle_info     TEXT,
    amount_minor    BIGINT NOT NULL CHECK (amount_minor > 0),
    amount_currency TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    code            BYTEA NOT NULL,
    code_expires_at BIGINT NOT NULL
);

-- How far each order has come: the narrow half that a payment rewrites.
CREATE TABLE IF NOT EXISTS order_progress (
    id                    BIGINT NOT NULL PRIMARY KEY,
    state                 TEXT NOT NULL,
    payer                 BIGINT,
    card                  BIGINT,
    attempt               BIGINT,
    paid_at               BIGINT,
    paid_seq              BIGINT,
    fee_minor             BIGINT NOT NULL CHECK (fee_minor >= 0),
    fee_currency          TEXT NOT NULL,
    refunded_minor        BIGINT NOT NULL CHECK (refunded_minor >= 0),
    refunded_currency     TEXT NOT NULL,
    fee_returned_minor    BIGINT NOT NULL CHECK (fee_returned_minor BETWEEN 0 AND fee_minor),
    fee_returned_currency TEXT NOT NULL,
    refunds               BIGINT NOT NULL CHECK (refunds >= 0)
) WITH (fillfactor = 50);

CREATE TABLE IF NOT EXISTS order_number (
    mchid        BIGINT NOT NULL,
    out_trade_no TEXT COLLATE "C" NOT NULL,
    "order"      BIGINT NOT NULL,
    PRIMARY KEY (mchid, out_trade_no)
);

CREATE TABLE IF NOT EXISTS order_code (
    token      BYTEA NOT NULL PRIMARY KEY,
    "order"    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS order_code_by_expiry ON order_code (expires_at);

CREATE TABLE IF NOT EXISTS refund (
    id                    BIGINT NOT NULL PRIMARY KEY,
    mchid                 BIGINT NOT NULL,
    out_refund_no         TEXT NOT NULL,
    "order"               BIGINT NOT NULL,
    amount_minor          BIGINT NOT NULL CHECK (amount_minor > 0),
    amount_currency       TEXT NOT NULL,
    reason                TEXT,
    notify_url            TEXT,
    state                 TEXT NOT NULL,
    payer                 BIGINT NOT NULL,
    card                  BIGINT,
    attempt               BIGINT,
    fee_returned_minor    BIGINT NOT NULL CHECK (fee_returned_minor >= 0),
    fee_returned_currency TEXT NOT NULL,
    created_at            BIGINT NOT NULL,
    success_at            BIGINT
);
CREATE INDEX IF NOT EXISTS refund_by_order ON refund ("order", id);

CREATE TABLE IF NOT EXISTS refund_number (
    mchid         BIGINT NOT NULL,
    out_refund_no TEXT COLLATE "C" NOT NULL,
    refund        BIGINT NOT NULL,
    PRIMARY KEY (mchid, out_refund_no)
);

CREATE TABLE IF NOT EXISTS attempt (
    id              BIGINT NOT NULL PRIMARY KEY,
    kind            TEXT NOT NULL,
    person          BIGINT NOT NULL,
    card            BIGINT NOT NULL,
    network         BIGINT NOT NULL,
    amount_minor    BIGINT NOT NULL CHECK (amount_minor > 0),
    amount_currency TEXT NOT NULL,
    "order"         BIGINT,
    refund          BIGINT,
    original        BIGINT,
    state           TEXT NOT NULL,
    refusal         TEXT,
    network_ref     TEXT,
    created_at      BIGINT NOT NULL,
    ended_at        BIGINT,
    epoch           BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS attempt_by_person ON attempt (person, id);

CREATE TABLE IF NOT EXISTS attempt_number (
    person  BIGINT NOT NULL,
    number  TEXT COLLATE "C" NOT NULL,
    attempt BIGINT NOT NULL,
    PRIMARY KEY (person, number)
);

CREATE TABLE IF NOT EXISTS open_attempt (
    attempt    BIGINT NOT NULL PRIMARY KEY,
    next_at    BIGINT NOT NULL,
    tries      BIGINT NOT NULL,
    send_until BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS open_attempt_by_time ON open_attempt (next_at);

CREATE TABLE IF NOT EXISTS message (
    id         BIGINT NOT NULL PRIMARY KEY,
    phone      TEXT NOT NULL,
    purpose    TEXT NOT NULL,
    nonce      BYTEA NOT NULL,
    next_at    BIGINT NOT NULL,
    tries      BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS message_by_time ON message (next_at);

CREATE TABLE IF NOT EXISTS notice_cursor (
    mchid BIGINT NOT NULL PRIMARY KEY,
    told  BIGINT NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE IF NOT EXISTS notice_retry (
    mchid   BIGINT NOT NULL,
    seq     BIGINT NOT NULL,
    tries   BIGINT NOT NULL,
    next_at BIGINT,
    PRIMARY KEY (mchid, seq)
);
CREATE INDEX IF NOT EXISTS notice_retry_by_time ON notice_retry (next_at);

CREATE TABLE IF NOT EXISTS staff (
    name           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    id             BIGINT NOT NULL,
    role           TEXT NOT NULL,
    enrolment_hash BYTEA NOT NULL,
    created_at     BIGINT NOT NULL
);
