-- Processes with sockets that live: each counts its beats, and one whose count stands still is taken out by another.
CREATE TABLE realtime_processes (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    process_id VARCHAR(100) NOT NULL,
    beats BIGINT NOT NULL,
    seen_at DATETIME(6) NOT NULL,
    created_at DATETIME(6) NOT NULL,
    CONSTRAINT realtime_processes_process_id_key UNIQUE (process_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- What clients of one process say and show to those of the others, for a minute. Each process numbers its own without gaps. No foreign key:
-- the last words of a process outlive it, and its beat must not wait for what it writes.
CREATE TABLE realtime_messages (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    process_id VARCHAR(100) NOT NULL,
    number BIGINT NOT NULL,
    head MEDIUMTEXT NOT NULL,
    body MEDIUMBLOB NOT NULL,
    created_at DATETIME(6) NOT NULL,
    CONSTRAINT realtime_messages_number_key UNIQUE (process_id, number)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX realtime_messages_created_at_idx ON realtime_messages (created_at);
