-- The role itself stays: other databases of the server may use it.
DO $$
DECLARE
    found RECORD;
BEGIN
    FOR found IN
        SELECT c.relname AS name FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
        WHERE p.polname = 'endcap_tenant' AND c.relnamespace = current_schema()::regnamespace
    LOOP
        EXECUTE format('DROP POLICY endcap_tenant ON %I', found.name);
        EXECUTE format('ALTER TABLE %I DISABLE ROW LEVEL SECURITY', found.name);
    END LOOP;
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'endcap_tenant') THEN
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM endcap_tenant', current_schema());
        EXECUTE format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA %I FROM endcap_tenant', current_schema());
        EXECUTE format('REVOKE ALL ON SCHEMA %I FROM endcap_tenant', current_schema());
    END IF;
END
$$;
DROP FUNCTION endcap_guard_tenants();
