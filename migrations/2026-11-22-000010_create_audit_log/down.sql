DROP TABLE audit_checkpoints;
DROP TABLE audit_tiles;
DROP TABLE audit_fields;
DROP TABLE audit_entries;
DROP TABLE audit_heads;

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
