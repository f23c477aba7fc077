-- Feedback counted as it comes in, in the transaction that stores it, so that statistics need not read the rows: on its day (UTC) and, under
-- the year 1000, for ever. The empty brand stands for none.
CREATE TABLE feedback_counters (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    tenant_id VARCHAR(100) NOT NULL,
    brand_id VARCHAR(100) NOT NULL,
    task_type VARCHAR(40) NOT NULL,
    feedback_type VARCHAR(20) NOT NULL,
    day DATE NOT NULL,
    n INTEGER NOT NULL,
    stars INTEGER NOT NULL,
    CONSTRAINT feedback_counters_key UNIQUE (brand_id, day, tenant_id, task_type, feedback_type)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX feedback_counters_tenant_id_day_idx ON feedback_counters (tenant_id, day);
CREATE INDEX feedback_counters_day_idx ON feedback_counters (day);
INSERT INTO feedback_counters (tenant_id, brand_id, task_type, feedback_type, day, n, stars)
SELECT tenant_id, COALESCE(brand_id, ''), task_type, feedback_type, DATE(created_at), COUNT(*), COALESCE(SUM(rating), 0)
FROM feedback GROUP BY tenant_id, COALESCE(brand_id, ''), task_type, feedback_type, DATE(created_at);
INSERT INTO feedback_counters (tenant_id, brand_id, task_type, feedback_type, day, n, stars)
SELECT tenant_id, COALESCE(brand_id, ''), task_type, feedback_type, DATE '1000-01-01', COUNT(*), COALESCE(SUM(rating), 0)
FROM feedback GROUP BY tenant_id, COALESCE(brand_id, ''), task_type, feedback_type;
