-- Only PostgreSQL gives work to several raters with one statement; here each takes a place in a transaction of its own.
SELECT 1;
