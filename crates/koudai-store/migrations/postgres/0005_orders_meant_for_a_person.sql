-- Orders that one person may pay, and what an app's server needs to learn who that is.

ALTER TABLE trade_order ADD COLUMN IF NOT EXISTS meant_for BIGINT;
ALTER TABLE app ADD COLUMN IF NOT EXISTS secret_mac BYTEA;

-- The token begins with the moment the code expires, so that new rows land on the right edge.
CREATE TABLE IF NOT EXISTS used_login_code (
    token      BYTEA NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS used_login_code_by_expiry ON used_login_code (expires_at);
