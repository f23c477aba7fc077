-- Row-level security and partitions are PostgreSQL's.
SELECT 1;
