-- Break-glass grants, those that are over too: they tell which master key was used, and when first.

CREATE TABLE break_glass_grants (
    id          BYTEA  NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant_id   BYTEA  NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    -- Made of the key's digest; tells keys apart and opens nothing.
    key_id      BYTEA  NOT NULL CHECK (length(key_id) = 16),
    permissions TEXT   NOT NULL,
    create_time BIGINT NOT NULL,
    expire_time BIGINT NOT NULL,
    -- When it was closed before its end, or cleared away after it.
    close_time  BIGINT,
    -- Whether somebody of the tenant closed it.
    vetoed      BOOLEAN NOT NULL DEFAULT FALSE
);
CREATE INDEX break_glass_grants_by_tenant ON break_glass_grants (tenant_id, create_time);

-- When each master key was first used. Outlives the tenants that it was used in.
CREATE TABLE break_glass_keys (
    key_id   BYTEA  NOT NULL PRIMARY KEY CHECK (length(key_id) = 16),
    use_time BIGINT NOT NULL
);
