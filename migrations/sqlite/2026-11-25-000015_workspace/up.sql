-- The orders of the list of campaigns: by last change, by name, by last day.
CREATE INDEX campaigns_tenant_id_updated_at_id_idx ON campaigns (tenant_id, updated_at, id);
CREATE INDEX campaigns_tenant_id_name_id_idx ON campaigns (tenant_id, name, id);
CREATE INDEX campaigns_tenant_id_end_date_id_idx ON campaigns (tenant_id, end_date, id);
-- The same for those who see all tenants.
CREATE INDEX campaigns_updated_at_id_idx ON campaigns (updated_at, id);
CREATE INDEX campaigns_name_id_idx ON campaigns (name, id);
