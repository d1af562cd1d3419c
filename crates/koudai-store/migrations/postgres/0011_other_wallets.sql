-- Paying at another wallet: where its person is, and what that wallet knows them by, for as long as the call is open.
ALTER TABLE open_attempt ADD COLUMN IF NOT EXISTS scene TEXT;
ALTER TABLE open_attempt ADD COLUMN IF NOT EXISTS payer_sealed BYTEA;

-- What somebody has at another wallet has no number.
ALTER TABLE card DROP CONSTRAINT IF EXISTS card_bin_check;
ALTER TABLE card DROP CONSTRAINT IF EXISTS card_last4_check;
