-- A partition can be named by itself, and does not take row-level security over from its table: from now on it has it from the beginning, as the
-- others get it here. The services own the tables, and reach partitions through the table, so nothing changes for them; for whoever else is let
-- near the database (a Supabase project serves tables over HTTP) a partition of a new month is closed like the rest.
CREATE OR REPLACE FUNCTION endcap_performance_partition(day DATE) RETURNS VOID LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    first DATE := date_trunc('month', day)::date;
    partition TEXT := 'performance_metrics_' || to_char(day, 'YYYY_MM');
BEGIN
    IF to_regclass(partition) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(7021990072);
    IF to_regclass(partition) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE performance_metrics INCLUDING ALL)', partition);
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', partition);
    EXECUTE format('ALTER TABLE performance_metrics ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', partition, first, (first + INTERVAL '1 month')::date);
END $$;

DO $$
DECLARE
    partition REGCLASS;
BEGIN
    FOR partition IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'performance_metrics'::regclass LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', partition);
    END LOOP;
END
$$;
