-- Imports that can be watched, resumed and explained.
ALTER TABLE imports RENAME TO imports_before;
CREATE TABLE imports (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    import_id TEXT NOT NULL,
    table_name TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'finished', 'failed')),
    received BIGINT NOT NULL,
    inserted BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    unchanged BIGINT NOT NULL,
    rejected BIGINT NOT NULL,
    errors TEXT NOT NULL CHECK (json_valid(errors)),
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    tenant_id TEXT,
    created_by TEXT NOT NULL DEFAULT 'unknown',
    retailer_id TEXT,
    on_error TEXT NOT NULL DEFAULT 'abort' CHECK (on_error IN ('abort', 'skip')),
    is_dry_run BOOLEAN NOT NULL DEFAULT FALSE,
    attempts INTEGER NOT NULL DEFAULT 1,
    ignored_columns TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(ignored_columns)),
    message TEXT,
    finished_at TEXT,
    CONSTRAINT imports_import_id_key UNIQUE (import_id)
);
INSERT INTO imports (id, import_id, table_name, content_hash, state, received, inserted, updated, unchanged, rejected, errors, created_at, updated_at)
SELECT id, import_id, table_name, content_hash, state, received, inserted, updated, unchanged, rejected, errors, created_at, updated_at FROM imports_before;
DROP TABLE imports_before;
UPDATE imports SET finished_at = updated_at WHERE state = 'finished';
CREATE INDEX imports_table_name_content_hash_idx ON imports (table_name, content_hash);
CREATE INDEX imports_tenant_id_id_idx ON imports (tenant_id, id);
CREATE INDEX imports_state_id_idx ON imports (state, id);

-- Rows of a file that were not taken, the first ten thousand of each import.
CREATE TABLE import_errors (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    import BIGINT NOT NULL,
    tenant_id TEXT,
    line BIGINT NOT NULL,
    field TEXT NOT NULL,
    source_column TEXT NOT NULL,
    message TEXT NOT NULL,
    CONSTRAINT import_errors_import_fkey FOREIGN KEY (import) REFERENCES imports (id) ON DELETE CASCADE
);
CREATE INDEX import_errors_import_id_idx ON import_errors (import, id);
CREATE INDEX import_errors_tenant_id_id_idx ON import_errors (tenant_id, id);
