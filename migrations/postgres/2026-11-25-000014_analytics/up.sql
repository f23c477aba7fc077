-- How a retailer attributes orders to ads; since when performance is kept.
ALTER TABLE retailers ADD COLUMN attribution JSONB;

CREATE TABLE performance_retention (
    id SMALLINT PRIMARY KEY CHECK (id = 1),
    kept_from DATE NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);

-- Drops the partitions of whole months before a day; how many.
CREATE FUNCTION endcap_drop_performance_before(cut DATE) RETURNS BIGINT LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    old TEXT;
    dropped BIGINT := 0;
BEGIN
    FOR old IN
        SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
        WHERE inhparent = 'performance_metrics'::regclass AND child.relname ~ '^performance_metrics_[0-9]{4}_[0-9]{2}$'
          AND to_date(right(child.relname, 7), 'YYYY_MM') < date_trunc('month', cut)::date
        ORDER BY child.relname
    LOOP
        EXECUTE format('DROP TABLE %I', old);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END $$;
REVOKE ALL ON FUNCTION endcap_drop_performance_before(DATE) FROM PUBLIC;
