DROP TABLE import_errors;
UPDATE imports SET state = 'failed' WHERE state = 'queued';
ALTER TABLE imports RENAME TO imports_after;
CREATE TABLE imports (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    import_id TEXT NOT NULL,
    table_name TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'finished', 'failed')),
    received BIGINT NOT NULL,
    inserted BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    unchanged BIGINT NOT NULL,
    rejected BIGINT NOT NULL,
    errors TEXT NOT NULL CHECK (json_valid(errors)),
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT imports_import_id_key UNIQUE (import_id)
);
INSERT INTO imports (id, import_id, table_name, content_hash, state, received, inserted, updated, unchanged, rejected, errors, created_at, updated_at)
SELECT id, import_id, table_name, content_hash, state, received, inserted, updated, unchanged, rejected, errors, created_at, updated_at FROM imports_after;
DROP TABLE imports_after;
CREATE INDEX imports_table_name_content_hash_idx ON imports (table_name, content_hash);
