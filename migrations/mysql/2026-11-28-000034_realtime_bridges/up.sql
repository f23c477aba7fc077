-- How far events were carried to a hosted project, and which process carries them: one at a time, however many there are.
CREATE TABLE realtime_bridges (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    bridge VARCHAR(250) NOT NULL,
    carried BIGINT NOT NULL,
    holder VARCHAR(100) NOT NULL,
    held_until DATETIME(6) NOT NULL,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT realtime_bridges_bridge_key UNIQUE (bridge)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
