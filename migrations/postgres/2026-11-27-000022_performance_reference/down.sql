DROP TRIGGER campaigns_delete_performance ON campaigns;
DROP FUNCTION endcap_delete_performance();
DROP TRIGGER performance_metrics_campaign_stays ON performance_metrics;
DROP FUNCTION endcap_performance_campaign_stays();
DROP TRIGGER performance_metrics_campaign_fkey ON performance_metrics;
DROP FUNCTION endcap_performance_campaigns_exist();
ALTER TABLE performance_metrics ADD CONSTRAINT performance_metrics_campaign_fkey FOREIGN KEY (campaign) REFERENCES campaigns (id) ON DELETE CASCADE;
