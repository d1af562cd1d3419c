-- Two-step verification: what people have set up for it, and sign-ins that wait for it, and how sessions that are over are found.
CREATE TABLE half_session (
    token_hash BLOB    NOT NULL PRIMARY KEY CHECK (length(token_hash) = 32),
    person     INTEGER NOT NULL,
    first      TEXT    NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX half_session_by_expiry ON half_session (expires_at);

CREATE TABLE second_step (
    person        INTEGER NOT NULL PRIMARY KEY,
    app           BLOB    CHECK (length(app) = 16),
    app_since     INTEGER,
    app_offered   BLOB    CHECK (length(app_offered) = 16),
    offered_by    BLOB    CHECK (length(offered_by) = 32),
    offered_at    INTEGER NOT NULL,
    last_step     INTEGER NOT NULL,
    wrong         INTEGER NOT NULL CHECK (wrong >= 0),
    by_code       INTEGER NOT NULL CHECK (by_code IN (0, 1)),
    recovery      BLOB    CHECK (length(recovery) = 16),
    recovery_used INTEGER NOT NULL CHECK (recovery_used >= 0),
    since         INTEGER NOT NULL
) STRICT;

CREATE INDEX session_by_expiry ON session (expires_at);
