ALTER TABLE change_head DROP COLUMN era;
DROP TABLE replicas;
