-- What a Supabase project has beside the tables: roles, claims of the request, and the messages of Realtime; as far as policies speak of them.
DO $$
DECLARE
    name TEXT;
BEGIN
    FOREACH name IN ARRAY ARRAY['anon', 'authenticated', 'service_role'] LOOP
        -- Roles belong to the server: another test may make them at the same moment.
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN %s', name, CASE name WHEN 'service_role' THEN 'BYPASSRLS' ELSE '' END);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END;
    END LOOP;
END
$$;
CREATE SCHEMA auth;
CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE AS $$ SELECT nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;
CREATE SCHEMA realtime;
CREATE FUNCTION realtime.topic() RETURNS text LANGUAGE sql STABLE AS $$ SELECT nullif(current_setting('realtime.topic', true), '') $$;
CREATE TABLE realtime.messages (topic text NOT NULL, extension text NOT NULL);
ALTER TABLE realtime.messages ENABLE ROW LEVEL SECURITY;
GRANT USAGE ON SCHEMA public, auth, realtime TO anon, authenticated, service_role;
GRANT SELECT ON realtime.messages TO anon, authenticated, service_role;
-- As Supabase does: everything on every table to everybody, now and later.
GRANT ALL ON ALL TABLES IN SCHEMA public TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;
