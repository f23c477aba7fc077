-- Row-level security for a database that a Supabase project serves: what browsers may read with a signed-in user's token through PostgREST
-- and Realtime. Endcap itself connects as the owner of the tables, whom policies do not bind, and works for a tenant as the role endcap_tenant,
-- which keeps what it has. Safe to repeat; run it after each migration:
--   psql "$DATABASE_URL" -f deploy/supabase/policies.sql
--
-- Nobody writes here but the services (and the service role): rules that span rows live there. What is not named below is read by nobody.
-- Claims stand in app_metadata, which only the project's administrators write: role, tenant_id, rater_id.

-- Supabase grants everything on new tables to everybody: taken back, for what is there and for what later migrations bring.
DO $$
DECLARE
    found RECORD;
    has_tenant_role BOOLEAN := EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'endcap_tenant');
BEGIN
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM anon, authenticated', current_schema());
    EXECUTE format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA %I FROM anon, authenticated', current_schema());
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I REVOKE ALL ON TABLES FROM anon, authenticated', current_schema());
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I REVOKE ALL ON SEQUENCES FROM anon, authenticated', current_schema());
    EXECUTE format('GRANT ALL ON ALL TABLES IN SCHEMA %I TO service_role', current_schema());
    EXECUTE format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA %I TO service_role', current_schema());
    -- PostgREST serves functions as well, and PostgreSQL lets everybody run a new one: ours are for the services alone.
    FOR found IN
        SELECT p.oid, p.oid::regprocedure::text AS name FROM pg_proc p
        WHERE p.pronamespace = current_schema()::regnamespace AND p.proname LIKE 'endcap\_%'
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC, anon, authenticated', found.name);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO service_role', found.name);
        IF has_tenant_role THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO endcap_tenant', found.name);
        END IF;
    END LOOP;
    FOR found IN
        SELECT c.oid, c.relname AS name FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
    LOOP
        -- Partitions too: they can be named by themselves.
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', found.name);
        -- Tables that are no tenant's own had no policy for the services' tenant role, and would be empty to it from now on.
        EXECUTE format('DROP POLICY IF EXISTS endcap_hosted_services ON %I', found.name);
        IF has_tenant_role AND NOT EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = found.oid AND p.polname = 'endcap_tenant') THEN
            EXECUTE format('CREATE POLICY endcap_hosted_services ON %I TO endcap_tenant USING (true) WITH CHECK (true)', found.name);
        END IF;
    END LOOP;
END
$$;

-- A tenant's planners read their tenant's rows.
DO $$
DECLARE
    name TEXT;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'brands', 'sku_catalog', 'campaigns', 'campaign_creatives', 'campaign_history', 'campaign_plans', 'performance_metrics',
        'experiments', 'experiment_observations', 'response_calibrations', 'feedback', 'feedback_rules', 'imports', 'import_errors', 'reflection_logs'
    ]
    LOOP
        EXECUTE format('DROP POLICY IF EXISTS endcap_hosted_tenant ON %I', name);
        -- The claims are read once a query and not once a row.
        EXECUTE format(
            'CREATE POLICY endcap_hosted_tenant ON %I FOR SELECT TO authenticated USING ('
            'tenant_id = (SELECT auth.jwt() -> ''app_metadata'' ->> ''tenant_id'') '
            'AND (SELECT auth.jwt() -> ''app_metadata'' ->> ''role'') IN (''tenant_admin'', ''analyst''))', name);
        EXECUTE format('GRANT SELECT ON %I TO authenticated', name);
    END LOOP;
END
$$;

-- A rater reads what is the rater's own, without the columns that would tell golden items from work.
DO $$
DECLARE
    own RECORD;
BEGIN
    FOR own IN
        SELECT * FROM (VALUES
            ('judgments', 'judgment_id, task_id, rater_id, choice, display_order, reasons, free_text_feedback, confidence, rubric_scores, active_ms, is_escalated, escalation_reason, created_at'),
            ('task_assignments', 'assignment_id, task_id, rater_id, state, leased_at, expires_at, skip_reason, finished_at, created_at'),
            ('rater_profiles', 'rater_id, name, total_judgments, is_active, is_calibrated, is_simulated, shows_name, created_at'),
            ('rater_qualifications', 'rater_id, task_type, state, attempt, decided_at, retry_at')
        ) AS listed (name, columns)
    LOOP
        EXECUTE format('DROP POLICY IF EXISTS endcap_hosted_rater ON %I', own.name);
        EXECUTE format(
            'CREATE POLICY endcap_hosted_rater ON %I FOR SELECT TO authenticated USING ('
            'rater_id = (SELECT auth.jwt() -> ''app_metadata'' ->> ''rater_id''))', own.name);
        EXECUTE format('GRANT SELECT (%s) ON %I TO authenticated', own.columns, own.name);
    END LOOP;
END
$$;
