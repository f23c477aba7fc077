-- How a retailer attributes orders to ads; since when performance is kept.
ALTER TABLE retailers ADD COLUMN attribution JSON;

CREATE TABLE performance_retention (
    id SMALLINT NOT NULL PRIMARY KEY CHECK (id = 1),
    kept_from DATE NOT NULL,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL
);
