DROP TABLE realtime_messages;
DROP TABLE realtime_processes;
