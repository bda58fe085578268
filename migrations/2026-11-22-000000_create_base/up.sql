-- One dialect for SQLite and PostgreSQL: BYTEA, BIGINT, SMALLINT, TEXT, BOOLEAN.
-- Ids are UUIDv7 as 16 bytes; times are microseconds since 1970 in UTC.

CREATE TABLE tenants (
    id           BYTEA    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    slug         TEXT     NOT NULL UNIQUE,
    display_name TEXT     NOT NULL,
    suspended    BOOLEAN  NOT NULL,
    networks     TEXT     NOT NULL,
    per_minute   BIGINT   NOT NULL,
    create_time  BIGINT   NOT NULL,
    update_time  BIGINT   NOT NULL,
    version      BIGINT   NOT NULL
);

CREATE TABLE users (
    id            BYTEA   NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    email         TEXT    NOT NULL UNIQUE,
    password_hash TEXT,
    operator      BOOLEAN NOT NULL,
    disabled      BOOLEAN NOT NULL,
    create_time   BIGINT  NOT NULL,
    version       BIGINT  NOT NULL
);

CREATE TABLE members (
    tenant_id   BYTEA  NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    user_id     BYTEA  NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role        TEXT   NOT NULL,
    create_time BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, user_id)
);
CREATE UNIQUE INDEX members_one_owner ON members (tenant_id) WHERE role = 'owner';
CREATE INDEX members_by_user ON members (user_id);

CREATE TABLE api_keys (
    id              BYTEA    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant_id       BYTEA    NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    kind            TEXT     NOT NULL,
    user_id         BYTEA    REFERENCES users (id) ON DELETE CASCADE,
    environment     TEXT     NOT NULL,
    scopes          TEXT     NOT NULL,
    digest          BYTEA    NOT NULL UNIQUE CHECK (length(digest) = 32),
    imported        BOOLEAN  NOT NULL,
    previous_digest BYTEA    CHECK (length(previous_digest) = 32),
    previous_until  BIGINT,
    networks        TEXT     NOT NULL,
    per_minute      BIGINT   NOT NULL,
    expire_time     BIGINT,
    display_name    TEXT     NOT NULL,
    prefix          TEXT     NOT NULL,
    created_by      TEXT     NOT NULL,
    create_time     BIGINT   NOT NULL,
    update_time     BIGINT   NOT NULL,
    revoke_time     BIGINT,
    version         BIGINT   NOT NULL
);
CREATE INDEX api_keys_by_tenant ON api_keys (tenant_id, id);

-- Stamps of use: written rarely and in bulk, outside the change log.
CREATE TABLE api_key_uses (
    key_id    BYTEA  NOT NULL PRIMARY KEY REFERENCES api_keys (id) ON DELETE CASCADE,
    last_used BIGINT NOT NULL
);

-- Requests that carried a request_id, so that a retry does nothing twice.
CREATE TABLE requests (
    tenant_id   BYTEA  NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    actor       TEXT   NOT NULL,
    request_id  TEXT   NOT NULL,
    target      TEXT   NOT NULL,
    create_time BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, actor, request_id)
);
CREATE INDEX requests_by_time ON requests (create_time);

CREATE TABLE audit_events (
    id          BYTEA  NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant_id   BYTEA  NOT NULL,
    time        BIGINT NOT NULL,
    actor       TEXT   NOT NULL,
    credential  TEXT,
    address     TEXT,
    correlation TEXT   NOT NULL,
    action      TEXT   NOT NULL,
    target      TEXT   NOT NULL,
    detail      TEXT   NOT NULL
);
CREATE INDEX audit_events_by_tenant ON audit_events (tenant_id, id);

-- The head is raised last in a transaction and its lock held until commit, so
-- that numbers follow each other in commit order, without gaps.
CREATE TABLE change_head (
    one SMALLINT NOT NULL PRIMARY KEY CHECK (one = 1),
    seq BIGINT   NOT NULL
);
INSERT INTO change_head (one, seq) VALUES (1, 0);

CREATE TABLE changes (
    seq     BIGINT NOT NULL PRIMARY KEY,
    payload TEXT   NOT NULL,
    time    BIGINT NOT NULL
);

-- What an instance makes for itself once.
CREATE TABLE instance (
    name  TEXT  NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);
