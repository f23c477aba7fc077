-- Who may join the private channels that the bridge fills (ENDCAP_SUPABASE_PUBLISH): the same people as in our own rooms (docs/realtime.md).
-- Run it in the project's SQL editor. Safe to repeat.
DROP POLICY IF EXISTS "endcap rooms" ON realtime.messages;
CREATE POLICY "endcap rooms" ON realtime.messages FOR SELECT TO authenticated USING (
    extension = 'broadcast' AND CASE
        WHEN (SELECT realtime.topic()) = 'leaderboard' THEN true
        WHEN (SELECT realtime.topic()) = 'tasks' THEN (SELECT auth.jwt() -> 'app_metadata' ->> 'tenant_id') IS NULL
        WHEN (SELECT realtime.topic()) LIKE 'rater:%' THEN
            (SELECT realtime.topic()) = 'rater:' || (SELECT auth.jwt() -> 'app_metadata' ->> 'rater_id')
        WHEN split_part((SELECT realtime.topic()), ':', 1) IN ('jobs', 'feedback', 'campaigns', 'imports') THEN
            CASE (SELECT auth.jwt() -> 'app_metadata' ->> 'role')
                WHEN 'platform_admin' THEN (SELECT auth.jwt() -> 'app_metadata' ->> 'tenant_id') IS NULL
                WHEN 'tenant_admin' THEN split_part((SELECT realtime.topic()), ':', 2) = (SELECT auth.jwt() -> 'app_metadata' ->> 'tenant_id')
                WHEN 'analyst' THEN split_part((SELECT realtime.topic()), ':', 2) = (SELECT auth.jwt() -> 'app_metadata' ->> 'tenant_id')
                ELSE false
            END
        ELSE false
    END
);
