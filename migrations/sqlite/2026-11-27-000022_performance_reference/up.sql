-- PostgreSQL only: elsewhere the foreign key stays.
SELECT 1;
