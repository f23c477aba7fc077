-- Processes with sockets that live: each counts its beats, and one whose count stands still is taken out by another.
CREATE TABLE realtime_processes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    process_id TEXT NOT NULL,
    beats BIGINT NOT NULL,
    seen_at TEXT NOT NULL,
    created_at TEXT NOT NULL,
    CONSTRAINT realtime_processes_process_id_key UNIQUE (process_id)
);

-- What clients of one process say and show to those of the others, for a minute. Each process numbers its own without gaps. No foreign key:
-- the last words of a process outlive it, and its beat must not wait for what it writes.
CREATE TABLE realtime_messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    process_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    head TEXT NOT NULL,
    body BLOB NOT NULL,
    created_at TEXT NOT NULL,
    CONSTRAINT realtime_messages_number_key UNIQUE (process_id, number)
);
CREATE INDEX realtime_messages_created_at_idx ON realtime_messages (created_at);
