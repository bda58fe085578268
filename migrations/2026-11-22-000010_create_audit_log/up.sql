-- The audit log: one Merkle tree for each tenant, and what may be personal
-- beside it, where it can be erased.

DROP TABLE audit_events;

-- Held by whoever writes until they commit, so that numbers have no gaps.
CREATE TABLE audit_heads (
    tenant_id BYTEA   NOT NULL PRIMARY KEY CHECK (length(tenant_id) = 16),
    -- Entries.
    size      BIGINT  NOT NULL,
    -- When the first entry without a checkpoint was written.
    since     BIGINT  NOT NULL,
    -- Entries that have a checkpoint, and the right edge of the tree over them.
    sealed    BIGINT  NOT NULL,
    frontier  BYTEA   NOT NULL,
    -- The first entry that is kept.
    first     BIGINT  NOT NULL,
    -- Whether nothing may be pruned or erased.
    held      BOOLEAN NOT NULL,
    CHECK (0 <= first AND first <= sealed AND sealed <= size)
);

CREATE TABLE audit_entries (
    tenant_id BYTEA  NOT NULL,
    idx       BIGINT NOT NULL,
    time      BIGINT NOT NULL,
    actor     TEXT   NOT NULL,
    action    TEXT   NOT NULL,
    target    TEXT   NOT NULL,
    -- The leaf, byte for byte.
    entry     TEXT   NOT NULL,
    PRIMARY KEY (tenant_id, idx)
);
CREATE INDEX audit_entries_by_actor ON audit_entries (tenant_id, actor, idx);
CREATE INDEX audit_entries_by_action ON audit_entries (tenant_id, action, idx);
CREATE INDEX audit_entries_by_target ON audit_entries (tenant_id, target, idx);
CREATE INDEX audit_entries_by_time ON audit_entries (tenant_id, time);

-- What entries committed to: gone once it is erased.
CREATE TABLE audit_fields (
    tenant_id BYTEA  NOT NULL,
    idx       BIGINT NOT NULL,
    name      TEXT   NOT NULL,
    salt      BYTEA  NOT NULL CHECK (length(salt) = 16),
    value     TEXT   NOT NULL,
    PRIMARY KEY (tenant_id, idx, name)
);

-- The hashes of 256 leaves each, and their root: they outlive the entries.
CREATE TABLE audit_tiles (
    tenant_id BYTEA  NOT NULL,
    n         BIGINT NOT NULL,
    root      BYTEA  NOT NULL CHECK (length(root) = 32),
    leaves    BYTEA  NOT NULL CHECK (length(leaves) = 8192),
    PRIMARY KEY (tenant_id, n)
);

CREATE TABLE audit_checkpoints (
    tenant_id BYTEA  NOT NULL,
    size      BIGINT NOT NULL,
    time      BIGINT NOT NULL,
    note      TEXT   NOT NULL,
    PRIMARY KEY (tenant_id, size)
);
