-- Keys that tenants have with other providers; the secret is sealed for its
-- tenant, provider and label.

CREATE TABLE provider_keys (
    id          BYTEA  NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant_id   BYTEA  NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    provider    TEXT   NOT NULL,
    label       TEXT   NOT NULL,
    secret      BYTEA  NOT NULL,
    fingerprint TEXT   NOT NULL,
    set_by      TEXT   NOT NULL,
    set_time    BIGINT NOT NULL,
    fetch_time  BIGINT,
    UNIQUE (tenant_id, provider, label)
);
CREATE INDEX provider_keys_by_tenant ON provider_keys (tenant_id, id);

-- What a tenant is entitled to, by name, separated by spaces.
ALTER TABLE tenants ADD COLUMN entitlements TEXT NOT NULL DEFAULT '';
