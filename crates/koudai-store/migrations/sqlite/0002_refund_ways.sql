-- Where a refund goes: back the way it came, or elsewhere once its bank refused it for good.
ALTER TABLE refund ADD COLUMN way TEXT NOT NULL DEFAULT 'original';
