-- How often keys were checked, by the hour since 1970: accepted, and refused by
-- reason. Written in bulk, outside the change log.

CREATE TABLE key_usage (
    key_id     BYTEA   NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    hour       BIGINT  NOT NULL,
    accepted   BIGINT  NOT NULL,
    expired    BIGINT  NOT NULL,
    address    BIGINT  NOT NULL,
    permission BIGINT  NOT NULL,
    rate_limit BIGINT  NOT NULL,
    suspended  BIGINT  NOT NULL,
    other      BIGINT  NOT NULL,
    -- Whether the hour was found to be unusual for the key.
    spike      BOOLEAN NOT NULL,
    PRIMARY KEY (key_id, hour)
);
CREATE INDEX key_usage_by_hour ON key_usage (hour);
