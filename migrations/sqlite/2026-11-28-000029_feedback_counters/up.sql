-- Feedback counted as it comes in, in the transaction that stores it, so that statistics need not read the rows: on its day (UTC) and, under
-- the year 1000, for ever. The empty brand stands for none.
CREATE TABLE feedback_counters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id TEXT NOT NULL,
    brand_id TEXT NOT NULL,
    task_type TEXT NOT NULL,
    feedback_type TEXT NOT NULL,
    day DATE NOT NULL,
    n INTEGER NOT NULL,
    stars INTEGER NOT NULL,
    CONSTRAINT feedback_counters_key UNIQUE (brand_id, day, tenant_id, task_type, feedback_type)
);
CREATE INDEX feedback_counters_tenant_id_day_idx ON feedback_counters (tenant_id, day);
CREATE INDEX feedback_counters_day_idx ON feedback_counters (day);
INSERT INTO feedback_counters (tenant_id, brand_id, task_type, feedback_type, day, n, stars)
SELECT tenant_id, COALESCE(brand_id, ''), task_type, feedback_type, substr(created_at, 1, 10), COUNT(*), COALESCE(SUM(rating), 0)
FROM feedback GROUP BY tenant_id, COALESCE(brand_id, ''), task_type, feedback_type, substr(created_at, 1, 10);
INSERT INTO feedback_counters (tenant_id, brand_id, task_type, feedback_type, day, n, stars)
SELECT tenant_id, COALESCE(brand_id, ''), task_type, feedback_type, '1000-01-01', COUNT(*), COALESCE(SUM(rating), 0)
FROM feedback GROUP BY tenant_id, COALESCE(brand_id, ''), task_type, feedback_type;
