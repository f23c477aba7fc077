DROP INDEX campaigns_status_end_date_idx;
DROP INDEX campaigns_status_start_date_idx;
DROP TABLE campaign_history;
