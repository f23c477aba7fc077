-- Retailers that sell placements, with their policies and field mapping.
CREATE TABLE retailers (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    retailer_id VARCHAR(100) NOT NULL,
    name VARCHAR(200) NOT NULL,
    schema_version VARCHAR(50) NOT NULL,
    mapping_config JSON NOT NULL,
    api_endpoint VARCHAR(500),
    api_key_encrypted VARCHAR(1000),
    clean_room_endpoint VARCHAR(500),
    policies JSON NOT NULL,
    creative_specs JSON NOT NULL,
    country VARCHAR(2),
    currency VARCHAR(3),
    timezone VARCHAR(64) NOT NULL,
    is_active BOOLEAN NOT NULL,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT retailers_retailer_id_key UNIQUE (retailer_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Brands; a brand is a tenant.
CREATE TABLE brands (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    brand_id VARCHAR(100) NOT NULL,
    tenant_id VARCHAR(100) NOT NULL,
    retailer_id VARCHAR(100),
    name VARCHAR(200) NOT NULL,
    tone_guidelines JSON NOT NULL,
    product_categories JSON NOT NULL,
    budget_constraints JSON NOT NULL,
    attributes JSON NOT NULL,
    is_active BOOLEAN NOT NULL,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT brands_brand_id_key UNIQUE (brand_id),
    CONSTRAINT brands_retailer_id_fkey FOREIGN KEY (retailer_id) REFERENCES retailers (retailer_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX brands_tenant_id_idx ON brands (tenant_id);
CREATE INDEX brands_retailer_id_idx ON brands (retailer_id);

-- Products of a retailer.
CREATE TABLE sku_catalog (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    sku_id VARCHAR(100) NOT NULL,
    retailer_id VARCHAR(100) NOT NULL,
    brand_id VARCHAR(100),
    tenant_id VARCHAR(100),
    upc VARCHAR(14),
    ean VARCHAR(14),
    gtin VARCHAR(14),
    name VARCHAR(500) NOT NULL,
    category VARCHAR(200),
    subcategory VARCHAR(200),
    brand_name VARCHAR(200),
    price_micros BIGINT,
    margin DOUBLE,
    cost_micros BIGINT,
    currency VARCHAR(3),
    attributes JSON NOT NULL,
    is_in_stock BOOLEAN,
    stock_level BIGINT,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT sku_catalog_retailer_id_sku_id_key UNIQUE (retailer_id, sku_id),
    CONSTRAINT sku_catalog_retailer_id_fkey FOREIGN KEY (retailer_id) REFERENCES retailers (retailer_id),
    CONSTRAINT sku_catalog_brand_id_fkey FOREIGN KEY (brand_id) REFERENCES brands (brand_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX sku_catalog_brand_id_idx ON sku_catalog (brand_id);
CREATE INDEX sku_catalog_tenant_id_idx ON sku_catalog (tenant_id);
CREATE INDEX sku_catalog_retailer_id_category_id_idx ON sku_catalog (retailer_id, category, id);

-- Audiences that a retailer offers.
CREATE TABLE audience_segments (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    segment_id VARCHAR(100) NOT NULL,
    retailer_id VARCHAR(100) NOT NULL,
    name VARCHAR(200) NOT NULL,
    description LONGTEXT,
    segment_type VARCHAR(20) NOT NULL CHECK (segment_type IN ('demographic', 'behavioral', 'lookalike', 'contextual')),
    criteria JSON NOT NULL,
    size_estimate BIGINT,
    reach_estimate DOUBLE,
    cpm_estimate_micros BIGINT,
    currency VARCHAR(3),
    is_active BOOLEAN NOT NULL,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT audience_segments_retailer_id_segment_id_key UNIQUE (retailer_id, segment_id),
    CONSTRAINT audience_segments_retailer_id_fkey FOREIGN KEY (retailer_id) REFERENCES retailers (retailer_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
