-- Imports that can be watched, resumed and explained.
ALTER TABLE imports MODIFY state VARCHAR(20) NOT NULL CHECK (state IN ('queued', 'running', 'finished', 'failed'));
ALTER TABLE imports ADD COLUMN tenant_id VARCHAR(100);
ALTER TABLE imports ADD COLUMN created_by VARCHAR(200) NOT NULL DEFAULT 'unknown';
ALTER TABLE imports ADD COLUMN retailer_id VARCHAR(100);
ALTER TABLE imports ADD COLUMN on_error VARCHAR(10) NOT NULL DEFAULT 'abort' CHECK (on_error IN ('abort', 'skip'));
ALTER TABLE imports ADD COLUMN is_dry_run BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE imports ADD COLUMN attempts INTEGER NOT NULL DEFAULT 1;
ALTER TABLE imports ADD COLUMN ignored_columns JSON NOT NULL DEFAULT '[]';
ALTER TABLE imports ADD COLUMN message VARCHAR(1000);
ALTER TABLE imports ADD COLUMN finished_at DATETIME(6);
UPDATE imports SET finished_at = updated_at WHERE state = 'finished';
CREATE INDEX imports_tenant_id_id_idx ON imports (tenant_id, id);
CREATE INDEX imports_state_id_idx ON imports (state, id);

-- Rows of a file that were not taken, the first ten thousand of each import.
CREATE TABLE import_errors (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    import BIGINT NOT NULL,
    tenant_id VARCHAR(100),
    line BIGINT NOT NULL,
    field VARCHAR(200) NOT NULL,
    source_column VARCHAR(200) NOT NULL,
    message VARCHAR(1000) NOT NULL,
    CONSTRAINT import_errors_import_fkey FOREIGN KEY (import) REFERENCES imports (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX import_errors_import_id_idx ON import_errors (import, id);
CREATE INDEX import_errors_tenant_id_id_idx ON import_errors (tenant_id, id);
