-- The second wall around what keys sent; see create_walls.
ALTER TABLE ingest_usage ENABLE ROW LEVEL SECURITY;
ALTER TABLE ingest_usage FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON ingest_usage
    USING ((SELECT doorward_everything()) OR tenant_id = (SELECT doorward_tenant()));
