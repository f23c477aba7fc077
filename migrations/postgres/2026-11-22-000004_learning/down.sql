DROP TABLE rlhf_metrics;
DROP TABLE jobs;
DROP TABLE reward_models;
DROP TABLE feedback;
