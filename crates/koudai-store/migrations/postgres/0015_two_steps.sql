-- Two-step verification: what people have set up for it, and sign-ins that wait for it, and how sessions that are over are found.
CREATE TABLE IF NOT EXISTS half_session (
    token_hash BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(token_hash) = 32),
    person BIGINT NOT NULL,
    first TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS half_session_by_expiry ON half_session (expires_at);

CREATE TABLE IF NOT EXISTS second_step (
    person BIGINT NOT NULL PRIMARY KEY,
    app BYTEA CHECK (octet_length(app) = 16),
    app_since BIGINT,
    app_offered BYTEA CHECK (octet_length(app_offered) = 16),
    offered_by BYTEA CHECK (octet_length(offered_by) = 32),
    offered_at BIGINT NOT NULL,
    last_step BIGINT NOT NULL,
    wrong BIGINT NOT NULL CHECK (wrong >= 0),
    by_code BIGINT NOT NULL CHECK (by_code IN (0, 1)),
    recovery BYTEA CHECK (octet_length(recovery) = 16),
    recovery_used BIGINT NOT NULL CHECK (recovery_used >= 0),
    since BIGINT NOT NULL
);

CREATE INDEX IF NOT EXISTS session_by_expiry ON session (expires_at);
