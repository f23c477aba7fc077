DROP TABLE feedback_counters;
