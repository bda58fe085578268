DROP TABLE ingest_usage;
