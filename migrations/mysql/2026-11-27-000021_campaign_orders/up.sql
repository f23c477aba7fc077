-- The newest campaigns of a tenant, without walking over those of all others; the order by last day for those who see all tenants.
CREATE INDEX campaigns_tenant_id_id_idx ON campaigns (tenant_id, id);
CREATE INDEX campaigns_end_date_id_idx ON campaigns (end_date, id);
