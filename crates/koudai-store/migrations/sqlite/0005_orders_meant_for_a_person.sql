-- Orders that one person may pay, and what an app's server needs to learn who that is.

ALTER TABLE trade_order ADD COLUMN meant_for INTEGER;
ALTER TABLE app ADD COLUMN secret_mac BLOB;

-- The token begins with the moment the code expires, so that new rows land on the right edge.
CREATE TABLE used_login_code (
    token      BLOB    NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX used_login_code_by_expiry ON used_login_code (expires_at);
