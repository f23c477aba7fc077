DROP TABLE audience_segments;
DROP TABLE sku_catalog;
DROP TABLE brands;
DROP TABLE retailers;
