DROP TABLE performance_rollups;
DROP TABLE performance_revisions;
ALTER TABLE performance_metrics DROP COLUMN version;
