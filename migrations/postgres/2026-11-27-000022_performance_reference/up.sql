-- The same promise as the foreign key, kept once for each statement: a row's campaign exists. The foreign key asked once for each row, which
-- was half of what loading a file cost.
ALTER TABLE performance_metrics DROP CONSTRAINT performance_metrics_campaign_fkey;

CREATE FUNCTION endcap_performance_campaigns_exist() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    missing BIGINT;
BEGIN
    -- Locked until the transaction ends, as by a foreign key: who deletes one of them waits, and then deletes these rows too.
    PERFORM 1 FROM campaigns WHERE id IN (SELECT DISTINCT campaign FROM added) ORDER BY id FOR KEY SHARE;
    SELECT named.campaign INTO missing FROM (SELECT DISTINCT campaign FROM added) named
        WHERE NOT EXISTS (SELECT 1 FROM campaigns WHERE campaigns.id = named.campaign) LIMIT 1;
    IF FOUND THEN
        RAISE foreign_key_violation USING MESSAGE = format('there is no campaign with id %s', missing),
            TABLE = 'performance_metrics', CONSTRAINT = 'performance_metrics_campaign_fkey';
    END IF;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION endcap_performance_campaigns_exist() FROM PUBLIC;
CREATE TRIGGER performance_metrics_campaign_fkey AFTER INSERT ON performance_metrics REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION endcap_performance_campaigns_exist();

CREATE FUNCTION endcap_performance_campaign_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE foreign_key_violation USING MESSAGE = 'a row of performance stays with its campaign', TABLE = 'performance_metrics',
        CONSTRAINT = 'performance_metrics_campaign_fkey';
END $$;
CREATE TRIGGER performance_metrics_campaign_stays BEFORE UPDATE OF campaign ON performance_metrics
    FOR EACH ROW WHEN (OLD.campaign IS DISTINCT FROM NEW.campaign) EXECUTE FUNCTION endcap_performance_campaign_stays();

CREATE FUNCTION endcap_delete_performance() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM performance_metrics WHERE campaign = OLD.id;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION endcap_delete_performance() FROM PUBLIC;
CREATE TRIGGER campaigns_delete_performance AFTER DELETE ON campaigns FOR EACH ROW EXECUTE FUNCTION endcap_delete_performance();
