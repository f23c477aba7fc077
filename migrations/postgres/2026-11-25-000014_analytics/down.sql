DROP FUNCTION endcap_drop_performance_before(DATE);
DROP TABLE performance_retention;
ALTER TABLE retailers DROP COLUMN attribution;
