-- SQLite has no function for it and keeps no such number: exports count all rows there.
SELECT 1;
