-- How far events were carried to a hosted project, and which process carries them: one at a time, however many there are.
CREATE TABLE realtime_bridges (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    bridge TEXT NOT NULL,
    carried BIGINT NOT NULL,
    holder TEXT NOT NULL,
    held_until TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT realtime_bridges_bridge_key UNIQUE (bridge)
);
