-- Passkeys: what proves that a person has them, and challenges that were used.

CREATE TABLE passkeys (
    id              BYTEA   NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    user_id         BYTEA   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    credential_id   BYTEA   NOT NULL UNIQUE CHECK (length(credential_id) BETWEEN 1 AND 1023),
    public_key      BYTEA   NOT NULL,
    -- How often it has signed; one that does not count stays at 0.
    counter         BIGINT  NOT NULL,
    backup_eligible BOOLEAN NOT NULL,
    backed_up       BOOLEAN NOT NULL,
    display_name    TEXT    NOT NULL,
    create_time     BIGINT  NOT NULL,
    last_used       BIGINT
);
CREATE INDEX passkeys_by_user ON passkeys (user_id, id);

-- A challenge proves itself by its seal; here is only which were used, for as
-- long as they could be used again.
CREATE TABLE used_challenges (
    digest      BYTEA  NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    expire_time BIGINT NOT NULL
);
CREATE INDEX used_challenges_by_time ON used_challenges (expire_time);
