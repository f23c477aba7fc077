-- Retailers that sell placements, with their policies and field mapping.
CREATE TABLE retailers (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    retailer_id TEXT NOT NULL,
    name TEXT NOT NULL,
    schema_version TEXT NOT NULL,
    mapping_config TEXT NOT NULL CHECK (json_valid(mapping_config)),
    api_endpoint TEXT,
    api_key_encrypted TEXT,
    clean_room_endpoint TEXT,
    policies TEXT NOT NULL CHECK (json_valid(policies)),
    creative_specs TEXT NOT NULL CHECK (json_valid(creative_specs)),
    country TEXT,
    currency TEXT,
    timezone TEXT NOT NULL,
    is_active BOOLEAN NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT retailers_retailer_id_key UNIQUE (retailer_id)
);

-- Brands; a brand is a tenant.
CREATE TABLE brands (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    brand_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    retailer_id TEXT,
    name TEXT NOT NULL,
    tone_guidelines TEXT NOT NULL CHECK (json_valid(tone_guidelines)),
    product_categories TEXT NOT NULL CHECK (json_valid(product_categories)),
    budget_constraints TEXT NOT NULL CHECK (json_valid(budget_constraints)),
    attributes TEXT NOT NULL CHECK (json_valid(attributes)),
    is_active BOOLEAN NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT brands_brand_id_key UNIQUE (brand_id),
    CONSTRAINT brands_retailer_id_fkey FOREIGN KEY (retailer_id) REFERENCES retailers (retailer_id)
);
CREATE INDEX brands_tenant_id_idx ON brands (tenant_id);
CREATE INDEX brands_retailer_id_idx ON brands (retailer_id);

-- Products of a retailer.
CREATE TABLE sku_catalog (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sku_id TEXT NOT NULL,
    retailer_id TEXT NOT NULL,
    brand_id TEXT,
    tenant_id TEXT,
    upc TEXT,
    ean TEXT,
    gtin TEXT,
    name TEXT NOT NULL,
    category TEXT,
    subcategory TEXT,
    brand_name TEXT,
    price_micros BIGINT,
    margin DOUBLE,
    cost_micros BIGINT,
    currency TEXT,
    attributes TEXT NOT NULL CHECK (json_valid(attributes)),
    is_in_stock BOOLEAN,
    stock_level BIGINT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT sku_catalog_retailer_id_sku_id_key UNIQUE (retailer_id, sku_id),
    CONSTRAINT sku_catalog_retailer_id_fkey FOREIGN KEY (retailer_id) REFERENCES retailers (retailer_id),
    CONSTRAINT sku_catalog_brand_id_fkey FOREIGN KEY (brand_id) REFERENCES brands (brand_id)
);
CREATE INDEX sku_catalog_brand_id_idx ON sku_catalog (brand_id);
CREATE INDEX sku_catalog_tenant_id_idx ON sku_catalog (tenant_id);
CREATE INDEX sku_catalog_retailer_id_category_id_idx ON sku_catalog (retailer_id, category, id);

-- Audiences that a retailer offers.
CREATE TABLE audience_segments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    segment_id TEXT NOT NULL,
    retailer_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    segment_type TEXT NOT NULL CHECK (segment_type IN ('demographic', 'behavioral', 'lookalike', 'contextual')),
    criteria TEXT NOT NULL CHECK (json_valid(criteria)),
    size_estimate BIGINT,
    reach_estimate DOUBLE,
    cpm_estimate_micros BIGINT,
    currency TEXT,
    is_active BOOLEAN NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT audience_segments_retailer_id_segment_id_key UNIQUE (retailer_id, segment_id),
    CONSTRAINT audience_segments_retailer_id_fkey FOREIGN KEY (retailer_id) REFERENCES retailers (retailer_id)
);
