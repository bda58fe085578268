-- Work that is done now and then: by whom, when, and what came of it last.

CREATE TABLE job_runs (
    name       TEXT   NOT NULL PRIMARY KEY,
    -- When it was last begun; 0 if it is to be begun as soon as somebody looks.
    start_time BIGINT NOT NULL,
    -- Until when nobody else begins it.
    held_until BIGINT NOT NULL,
    end_time   BIGINT,
    -- Rows that it touched, and why it failed if it did.
    done       BIGINT NOT NULL,
    failure    TEXT
);
