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
    EXECUTE format('ALTER TABLE performance_metrics ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', partition, first, (first + INTERVAL '1 month')::date);
END $$;
-- Partitions that are there stay closed: nobody reached them by themselves before either.
