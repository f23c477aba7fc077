DROP TABLE realtime_bridges;
