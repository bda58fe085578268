-- Who answers from memory. A row is one life of one replica: whoever was
-- declared gone comes back under a new id.
CREATE TABLE replicas (
    id           BYTEA    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    -- Never again does it answer from a state before this change.
    acknowledged BIGINT   NOT NULL,
    -- The last changes that cut streams there, as "change:streams,…".
    cuts         TEXT     NOT NULL,
    renewals     BIGINT   NOT NULL,
    draining     BOOLEAN  NOT NULL,
    -- The lease that it was started with; all must have the same.
    lease_ms     BIGINT   NOT NULL
);

-- Another era begins when the database was set back to an earlier state.
ALTER TABLE change_head ADD COLUMN era TEXT NOT NULL DEFAULT '';
