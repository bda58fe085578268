-- PostgreSQL alone: row-level security as a second wall between tenants, and an
-- audit log that is not changed by accident.
--
-- `doorward.tenant` says whose rows a session sees and may touch: a tenant's id
-- in hexadecimal, or `*` for everybody's. Unset, empty or anything else: nobody's.
-- FORCE, because Doorward's role owns the tables. Superusers and roles with
-- BYPASSRLS pass all of it; `doorward doctor` tells.

CREATE FUNCTION doorward_everything() RETURNS BOOLEAN LANGUAGE sql STABLE PARALLEL SAFE AS
    $$ SELECT coalesce(current_setting('doorward.tenant', TRUE) = '*', FALSE) $$;

CREATE FUNCTION doorward_tenant() RETURNS BYTEA LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN current_setting('doorward.tenant', TRUE) ~ '^[0-9a-f]{32}$'
                THEN decode(current_setting('doorward.tenant', TRUE), 'hex') END
$$;

-- Each function in a SELECT of its own: it is asked once a statement, not once a row.

-- Rows of a tenant.
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON tenants
    USING ((SELECT doorward_everything()) OR id = (SELECT doorward_tenant()));

ALTER TABLE members ENABLE ROW LEVEL SECURITY;
ALTER TABLE members FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON members
    USING ((SELECT doorward_everything()) OR tenant_id = (SELECT doorward_tenant()));

ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON api_keys
    USING ((SELECT doorward_everything()) OR tenant_id = (SELECT doorward_tenant()));

ALTER TABLE requests ENABLE ROW LEVEL SECURITY;
ALTER TABLE requests FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON requests
    USING ((SELECT doorward_everything()) OR tenant_id = (SELECT doorward_tenant()));

ALTER TABLE roles ENABLE ROW LEVEL SECURITY;
ALTER TABLE roles FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON roles
    USING ((SELECT doorward_everything()) OR tenant_id = (SELECT doorward_tenant()));

ALTER TABLE tenant_owners ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_owners FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON tenant_owners
    USING ((SELECT doorward_everything()) OR tenant_id = (SELECT doorward_tenant()));

ALTER TABLE invitations ENABLE ROW LEVEL SECURITY;
ALTER TABLE invitations FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON invitations
    USING ((SELECT doorward_everything()) OR tenant_id = (SELECT doorward_tenant()));

ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE sessions FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON sessions
    USING ((SELECT doorward_everything()) OR tenant_id = (SELECT doorward_tenant()));

ALTER TABLE challenges ENABLE ROW LEVEL SECURITY;
ALTER TABLE challenges FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON challenges
    USING ((SELECT doorward_everything()) OR tenant_id = (SELECT doorward_tenant()));

ALTER TABLE provider_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE provider_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON provider_keys
    USING ((SELECT doorward_everything()) OR tenant_id = (SELECT doorward_tenant()));

ALTER TABLE break_glass_grants ENABLE ROW LEVEL SECURITY;
ALTER TABLE break_glass_grants FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON break_glass_grants
    USING ((SELECT doorward_everything()) OR tenant_id = (SELECT doorward_tenant()));

ALTER TABLE audit_heads ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_heads FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON audit_heads
    USING ((SELECT doorward_everything()) OR tenant_id = (SELECT doorward_tenant()));

ALTER TABLE audit_entries ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_entries FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON audit_entries
    USING ((SELECT doorward_everything()) OR tenant_id = (SELECT doorward_tenant()));

ALTER TABLE audit_fields ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_fields FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON audit_fields
    USING ((SELECT doorward_everything()) OR tenant_id = (SELECT doorward_tenant()));

ALTER TABLE audit_tiles ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_tiles FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON audit_tiles
    USING ((SELECT doorward_everything()) OR tenant_id = (SELECT doorward_tenant()));

ALTER TABLE audit_checkpoints ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_checkpoints FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON audit_checkpoints
    USING ((SELECT doorward_everything()) OR tenant_id = (SELECT doorward_tenant()));

-- Rows of a key, a session or a person. Functions and no subqueries: those make
-- the planner shun good plans, or read all keys to judge one row.
CREATE FUNCTION doorward_has_key(key BYTEA, tenant BYTEA) RETURNS BOOLEAN LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1 AS
    $$ BEGIN RETURN EXISTS (SELECT FROM api_keys WHERE id = key AND tenant_id = tenant); END $$;
CREATE FUNCTION doorward_has_session(session BYTEA, tenant BYTEA) RETURNS BOOLEAN LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1 AS
    $$ BEGIN RETURN EXISTS (SELECT FROM sessions WHERE id = session AND tenant_id = tenant); END $$;
CREATE FUNCTION doorward_has_member(person BYTEA, tenant BYTEA) RETURNS BOOLEAN LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1 AS
    $$ BEGIN RETURN EXISTS (SELECT FROM members WHERE user_id = person AND tenant_id = tenant); END $$;

ALTER TABLE api_key_uses ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_key_uses FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON api_key_uses
    USING ((SELECT doorward_everything()) OR doorward_has_key(key_id, (SELECT doorward_tenant())));

ALTER TABLE key_usage ENABLE ROW LEVEL SECURITY;
ALTER TABLE key_usage FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON key_usage
    USING ((SELECT doorward_everything()) OR doorward_has_key(key_id, (SELECT doorward_tenant())));

ALTER TABLE refresh_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE refresh_tokens FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON refresh_tokens
    USING ((SELECT doorward_everything()) OR doorward_has_session(session_id, (SELECT doorward_tenant())));

-- People belong to no tenant. A tenant sees those who are its members, and may
-- hold them as they are (FOR SHARE asks for UPDATE), but change none.
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE users FORCE ROW LEVEL SECURITY;
CREATE POLICY everybody ON users USING ((SELECT doorward_everything()));
CREATE POLICY members_seen ON users FOR SELECT
    USING ((SELECT doorward_everything()) OR doorward_has_member(id, (SELECT doorward_tenant())));
CREATE POLICY members_held ON users FOR UPDATE
    USING ((SELECT doorward_everything()) OR doorward_has_member(id, (SELECT doorward_tenant())))
    WITH CHECK ((SELECT doorward_everything()));

-- What proves who a person is, and the instance's own secrets: no tenant's.
ALTER TABLE totp_factors ENABLE ROW LEVEL SECURITY;
ALTER TABLE totp_factors FORCE ROW LEVEL SECURITY;
CREATE POLICY no_tenants ON totp_factors USING ((SELECT doorward_everything()));

ALTER TABLE backup_codes ENABLE ROW LEVEL SECURITY;
ALTER TABLE backup_codes FORCE ROW LEVEL SECURITY;
CREATE POLICY no_tenants ON backup_codes USING ((SELECT doorward_everything()));

ALTER TABLE devices ENABLE ROW LEVEL SECURITY;
ALTER TABLE devices FORCE ROW LEVEL SECURITY;
CREATE POLICY no_tenants ON devices USING ((SELECT doorward_everything()));

ALTER TABLE mailed_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE mailed_tokens FORCE ROW LEVEL SECURITY;
CREATE POLICY no_tenants ON mailed_tokens USING ((SELECT doorward_everything()));

ALTER TABLE passkeys ENABLE ROW LEVEL SECURITY;
ALTER TABLE passkeys FORCE ROW LEVEL SECURITY;
CREATE POLICY no_tenants ON passkeys USING ((SELECT doorward_everything()));

ALTER TABLE signing_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE signing_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY no_tenants ON signing_keys USING ((SELECT doorward_everything()));

ALTER TABLE instance ENABLE ROW LEVEL SECURITY;
ALTER TABLE instance FORCE ROW LEVEL SECURITY;
CREATE POLICY no_tenants ON instance USING ((SELECT doorward_everything()));

-- The change log tells of all tenants: whoever writes adds to it, and who reads
-- it reads for all.
ALTER TABLE changes ENABLE ROW LEVEL SECURITY;
ALTER TABLE changes FORCE ROW LEVEL SECURITY;
CREATE POLICY no_tenants ON changes USING ((SELECT doorward_everything()));
CREATE POLICY added ON changes FOR INSERT WITH CHECK ((SELECT doorward_tenant()) IS NOT NULL);

-- The audit log. Triggers hold against superusers too.
--
-- Entries, fields, tiles and checkpoints are never updated. They are deleted in
-- a transaction that has said `doorward.keeping = 'audit'`: retention and erasure.
CREATE FUNCTION doorward_audit_kept() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('doorward.keeping', TRUE) = 'audit' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'the audit log stays as it is: % of %', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION doorward_audit_kept();
CREATE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_fields
    FOR EACH STATEMENT EXECUTE FUNCTION doorward_audit_kept();
CREATE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_tiles
    FOR EACH STATEMENT EXECUTE FUNCTION doorward_audit_kept();
CREATE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION doorward_audit_kept();
CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON audit_heads
    FOR EACH STATEMENT EXECUTE FUNCTION doorward_audit_kept();

-- A head only goes on: what it says was written and sealed is never taken back.
CREATE FUNCTION doorward_audit_goes_on() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.tenant_id <> OLD.tenant_id OR NEW.size < OLD.size OR NEW.sealed < OLD.sealed
        OR (NEW.sealed = OLD.sealed AND NEW.frontier <> OLD.frontier)
        OR ((NEW.first <> OLD.first OR NEW.held <> OLD.held)
            AND current_setting('doorward.keeping', TRUE) IS DISTINCT FROM 'audit')
        OR NEW.first < OLD.first
    THEN
        RAISE EXCEPTION 'the audit log stays as it is: UPDATE of audit_heads'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER goes_on BEFORE UPDATE ON audit_heads
    FOR EACH ROW EXECUTE FUNCTION doorward_audit_goes_on();
