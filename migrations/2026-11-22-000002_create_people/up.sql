-- People who log in: sessions, second factors, what they are sent by mail.

ALTER TABLE tenants ADD COLUMN mfa_required BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE tenants ADD COLUMN access_ttl BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN email_verified BOOLEAN NOT NULL DEFAULT FALSE;

CREATE TABLE sessions (
    id          BYTEA  NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant_id   BYTEA  NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    user_id     BYTEA  NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    methods     TEXT   NOT NULL,
    device      TEXT   NOT NULL,
    address     TEXT,
    create_time BIGINT NOT NULL,
    last_seen   BIGINT NOT NULL,
    expire_time BIGINT NOT NULL,
    revoke_time BIGINT
);
CREATE INDEX sessions_by_user ON sessions (user_id, id);
CREATE INDEX sessions_by_tenant ON sessions (tenant_id);

-- Each works once. The successor is sealed under the token that it succeeds.
CREATE TABLE refresh_tokens (
    digest      BYTEA  NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    session_id  BYTEA  NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    create_time BIGINT NOT NULL,
    use_time    BIGINT,
    next_digest BYTEA  CHECK (length(next_digest) = 32),
    next_sealed BYTEA
);
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id);

-- Logins that wait for their second factor.
CREATE TABLE challenges (
    digest      BYTEA  NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    user_id     BYTEA  NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    tenant_id   BYTEA  NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    device      BYTEA  CHECK (length(device) = 32),
    expire_time BIGINT NOT NULL
);
CREATE INDEX challenges_by_time ON challenges (expire_time);

CREATE TABLE totp_factors (
    user_id     BYTEA   NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    secret      BYTEA   NOT NULL,
    confirmed   BOOLEAN NOT NULL,
    -- The last step of which a code was accepted: none of it or before is again.
    last_step   BIGINT  NOT NULL,
    create_time BIGINT  NOT NULL
);

CREATE TABLE backup_codes (
    user_id BYTEA NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    digest  BYTEA NOT NULL CHECK (length(digest) = 32),
    PRIMARY KEY (user_id, digest)
);

-- Devices that a person has logged in from.
CREATE TABLE devices (
    digest      BYTEA  NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    user_id     BYTEA  NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    last_seen   BIGINT NOT NULL
);
CREATE INDEX devices_by_user ON devices (user_id);

-- Tokens of links that were mailed; each works once.
CREATE TABLE mailed_tokens (
    digest      BYTEA  NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    user_id     BYTEA  NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    purpose     TEXT   NOT NULL,
    email       TEXT   NOT NULL,
    expire_time BIGINT NOT NULL
);
CREATE INDEX mailed_tokens_by_user ON mailed_tokens (user_id);
CREATE INDEX mailed_tokens_by_time ON mailed_tokens (expire_time);

-- Failures that delay the next try, by whom or what they are about.
CREATE TABLE throttles (
    subject  BYTEA  NOT NULL PRIMARY KEY CHECK (length(subject) = 33),
    failures BIGINT NOT NULL,
    last     BIGINT NOT NULL
);
CREATE INDEX throttles_by_time ON throttles (last);

CREATE TABLE signing_keys (
    kid         TEXT    NOT NULL PRIMARY KEY,
    state       TEXT    NOT NULL,
    private     BYTEA   NOT NULL,
    create_time BIGINT  NOT NULL,
    withdrawn   BOOLEAN NOT NULL
);
