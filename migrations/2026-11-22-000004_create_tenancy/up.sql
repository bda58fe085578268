-- Tenants as their admins run them: settings, own roles, one owner, invitations.

ALTER TABLE tenants ADD COLUMN session_ttl BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tenants ADD COLUMN key_kinds TEXT NOT NULL DEFAULT '';
ALTER TABLE tenants ADD COLUMN features TEXT NOT NULL DEFAULT '';
ALTER TABLE tenants ADD COLUMN delete_time BIGINT;

CREATE TABLE roles (
    id          BYTEA  NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant_id   BYTEA  NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    name        TEXT   NOT NULL,
    description TEXT   NOT NULL,
    permissions TEXT   NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    version     BIGINT NOT NULL,
    UNIQUE (tenant_id, name)
);

-- A tenant's owner: a member whose role is owner, by a constraint that is
-- looked at when a transaction commits. Together with members_one_owner it
-- makes that exactly one: to remove or demote the owner without naming another
-- fails, whoever tries it and however they race.
CREATE UNIQUE INDEX members_by_role ON members (tenant_id, user_id, role);
CREATE TABLE tenant_owners (
    tenant_id BYTEA NOT NULL PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
    user_id   BYTEA NOT NULL,
    role      TEXT  NOT NULL DEFAULT 'owner' CHECK (role = 'owner'),
    FOREIGN KEY (tenant_id, user_id, role) REFERENCES members (tenant_id, user_id, role)
        DEFERRABLE INITIALLY DEFERRED
);
INSERT INTO tenant_owners (tenant_id, user_id) SELECT tenant_id, user_id FROM members WHERE role = 'owner';

CREATE TABLE invitations (
    id          BYTEA  NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant_id   BYTEA  NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    email       TEXT   NOT NULL,
    role        TEXT   NOT NULL,
    digest      BYTEA  NOT NULL UNIQUE CHECK (length(digest) = 32),
    invited_by  TEXT   NOT NULL,
    create_time BIGINT NOT NULL,
    expire_time BIGINT NOT NULL,
    UNIQUE (tenant_id, email)
);
CREATE INDEX invitations_by_time ON invitations (expire_time);
