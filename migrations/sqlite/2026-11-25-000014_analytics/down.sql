DROP TABLE performance_retention;
ALTER TABLE retailers DROP COLUMN attribution;
