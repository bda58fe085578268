-- How much telemetry keys sent, by the hour since 1970 and the signal: traces 1,
-- metrics 2, logs 3. Written in bulk, outside the change log.

CREATE TABLE ingest_usage (
    tenant_id BYTEA  NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    key_id    BYTEA  NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    hour      BIGINT NOT NULL,
    signal    BIGINT NOT NULL,
    requests  BIGINT NOT NULL,
    -- As received, and as handed on.
    bytes_in  BIGINT NOT NULL,
    bytes_out BIGINT NOT NULL,
    -- Spans, data points and log records.
    accepted  BIGINT NOT NULL,
    rejected  BIGINT NOT NULL,
    PRIMARY KEY (key_id, hour, signal)
);
CREATE INDEX ingest_usage_by_hour ON ingest_usage (hour);
CREATE INDEX ingest_usage_by_tenant ON ingest_usage (tenant_id, hour);
