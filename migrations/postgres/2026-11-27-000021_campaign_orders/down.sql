DROP INDEX campaigns_end_date_id_idx;
DROP INDEX campaigns_tenant_id_id_idx;
