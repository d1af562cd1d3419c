-- How a merchant wants its bills.
CREATE TABLE merchant_bills (
    mchid INTEGER NOT NULL PRIMARY KEY,
    empty INTEGER NOT NULL CHECK (empty IN (0, 1))
) STRICT;
