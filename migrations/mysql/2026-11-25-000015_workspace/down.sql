DROP INDEX campaigns_name_id_idx ON campaigns;
DROP INDEX campaigns_updated_at_id_idx ON campaigns;
DROP INDEX campaigns_tenant_id_end_date_id_idx ON campaigns;
DROP INDEX campaigns_tenant_id_name_id_idx ON campaigns;
DROP INDEX campaigns_tenant_id_updated_at_id_idx ON campaigns;
