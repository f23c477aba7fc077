DROP TABLE reflection_logs;
DROP TABLE campaign_plans;
DROP TABLE performance_metrics;
DROP TABLE campaigns;
