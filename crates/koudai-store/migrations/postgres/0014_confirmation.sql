-- Payments confirmed by a passkey, and payment passwords that change and are reset.
ALTER TABLE passkey ADD COLUMN IF NOT EXISTS pays BIGINT NOT NULL DEFAULT 0 CHECK (pays IN (0, 1));
ALTER TABLE payment_password ADD COLUMN IF NOT EXISTS earlier BYTEA NOT NULL DEFAULT '';
ALTER TABLE session ADD COLUMN IF NOT EXISTS may_renew_until BIGINT NOT NULL DEFAULT 0;
-- What was locked for good after ten wrong tries stays so, now that it takes fifteen.
UPDATE payment_password SET wrong = 15 WHERE wrong >= 10;
