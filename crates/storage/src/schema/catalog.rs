//! Retailers, brands, products, audiences.

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// Retailers that sell placements, with their policies and field mapping.
    retailers (id) {
        id -> BigInt,
        retailer_id -> Text,
        name -> Text,
        schema_version -> Text,
        mapping_config -> Document,
        api_endpoint -> Nullable<Text>,
        api_key_encrypted -> Nullable<Text>,
        clean_room_endpoint -> Nullable<Text>,
        policies -> Document,
        creative_specs -> Document,
        country -> Nullable<Text>,
        currency -> Nullable<Text>,
        timezone -> Text,
        attribution -> Nullable<Document>,
        is_active -> Bool,
        created_at -> Instant,
        updated_at -> Instant,
        api_key_set_at -> Nullable<Instant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// Brands; a brand is a tenant.
    brands (id) {
        id -> BigInt,
        brand_id -> Text,
        tenant_id -> Text,
        retailer_id -> Nullable<Text>,
        name -> Text,
        tone_guidelines -> Document,
        product_categories -> Document,
        budget_constraints -> Document,
        attributes -> Document,
        is_active -> Bool,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// Products of a retailer.
    sku_catalog (id) {
        id -> BigInt,
        sku_id -> Text,
        retailer_id -> Text,
        brand_id -> Nullable<Text>,
        tenant_id -> Nullable<Text>,
        upc -> Nullable<Text>,
        ean -> Nullable<Text>,
        gtin -> Nullable<Text>,
        name -> Text,
        category -> Nullable<Text>,
        subcategory -> Nullable<Text>,
        brand_name -> Nullable<Text>,
        price_micros -> Nullable<BigInt>,
        margin -> Nullable<Double>,
        cost_micros -> Nullable<BigInt>,
        currency -> Nullable<Text>,
        attributes -> Document,
        is_in_stock -> Nullable<Bool>,
        stock_level -> Nullable<BigInt>,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Document;
    use crate::types::Instant;

    /// Audiences that a retailer offers.
    audience_segments (id) {
        id -> BigInt,
        segment_id -> Text,
        retailer_id -> Text,
        name -> Text,
        description -> Nullable<Text>,
        segment_type -> Text,
        criteria -> Document,
        size_estimate -> Nullable<BigInt>,
        reach_estimate -> Nullable<Double>,
        cpm_estimate_micros -> Nullable<BigInt>,
        currency -> Nullable<Text>,
        is_active -> Bool,
        created_at -> Instant,
        updated_at -> Instant,
    }
}
