-- A role that owns nothing, and the policies that show it only rows of the tenant named in its transaction.
--
-- Roles belong to the whole server. Several databases on it may be migrated at once, each making the role or joining it, so what another
-- did in between is looked at again instead of failing. A user who may not make roles migrates all the same: `endcap doctor` says what is missing.
DO $$
BEGIN
    FOR attempt IN 1..10 LOOP
        BEGIN
            IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'endcap_tenant') THEN
                CREATE ROLE endcap_tenant NOLOGIN;
            END IF;
            IF NOT pg_has_role(current_user, 'endcap_tenant', 'MEMBER') THEN
                EXECUTE format('GRANT endcap_tenant TO %I', current_user);
            END IF;
            EXIT;
        EXCEPTION
            WHEN insufficient_privilege THEN
                RAISE WARNING 'the role endcap_tenant could not be made or joined: row-level security stays off; see endcap doctor';
                EXIT;
            WHEN duplicate_object OR unique_violation OR internal_error THEN
                PERFORM pg_sleep(random() * 0.2);
        END;
    END LOOP;
END
$$;

-- Grants and policies for every table there is; run again after later migrations, so that their tables are guarded too.
CREATE FUNCTION endcap_guard_tenants() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    has_role BOOLEAN := EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'endcap_tenant');
    found RECORD;
    mine CONSTANT TEXT := 'tenant_id = (SELECT current_setting(''endcap.tenant'', true))';
    seen TEXT;
    written TEXT;
BEGIN
    IF NOT has_role THEN
        RETURN;
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO endcap_tenant', current_schema());
    FOR found IN
        SELECT c.oid, c.relname AS name,
               EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped) AS has_tenant,
               c.relname IN ('judgments', 'task_assignments', 'task_consensus', 'golden_set_items') AS is_of_task,
               EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'endcap_tenant') AS has_policy
        FROM pg_class c
        -- Partitions are reached through their table and by no other way.
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
          -- Sign-in, limits and migrations are no business of a tenant's queries.
          AND c.relname NOT IN ('__diesel_schema_migrations', 'refresh_tokens', 'rate_limit_buckets')
    LOOP
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE %I TO endcap_tenant', found.name);
        IF found.has_policy OR NOT (found.has_tenant OR found.is_of_task) THEN
            CONTINUE;
        END IF;
        IF found.has_tenant THEN
            seen := mine;
            -- News that is nobody's in particular (a task changed) is written by tenants and read by the platform.
            written := CASE WHEN found.name = 'outbox_events' THEN mine || ' OR tenant_id IS NULL' ELSE mine END;
        ELSE
            seen := format('EXISTS (SELECT 1 FROM rating_tasks t WHERE t.task_id = %I.task_id)', found.name);
            written := seen;
        END IF;
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', found.name);
        EXECUTE format('CREATE POLICY endcap_tenant ON %I TO endcap_tenant USING (%s) WITH CHECK (%s)', found.name, seen, written);
    END LOOP;
    EXECUTE format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA %I TO endcap_tenant', current_schema());
END
$$;

SELECT endcap_guard_tenants();
