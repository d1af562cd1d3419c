-- How a merchant wants its bills.
CREATE TABLE IF NOT EXISTS merchant_bills (
    mchid BIGINT NOT NULL PRIMARY KEY,
    empty BIGINT NOT NULL CHECK (empty IN (0, 1))
);
