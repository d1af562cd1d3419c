-- Payments confirmed by a passkey, and payment passwords that change and are reset.
ALTER TABLE passkey ADD COLUMN pays INTEGER NOT NULL DEFAULT 0 CHECK (pays IN (0, 1));
ALTER TABLE payment_password ADD COLUMN earlier BLOB NOT NULL DEFAULT x'';
ALTER TABLE session ADD COLUMN may_renew_until INTEGER NOT NULL DEFAULT 0;
-- What was locked for good after ten wrong tries stays so, now that it takes fifteen.
UPDATE payment_password SET wrong = 15 WHERE wrong >= 10;
