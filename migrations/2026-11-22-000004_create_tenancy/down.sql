DROP TABLE invitations;
DROP TABLE tenant_owners;
DROP INDEX members_by_role;
DROP TABLE roles;
ALTER TABLE tenants DROP COLUMN delete_time;
ALTER TABLE tenants DROP COLUMN features;
ALTER TABLE tenants DROP COLUMN key_kinds;
ALTER TABLE tenants DROP COLUMN session_ttl;
