-- Gives work to several raters: to each the first task of its part of the list (from firsts[n] to lasts[n]) that nobody has the lock of and
-- that has a free place. All of it is one transaction, of one round trip, also where the caller has begun none. Inactive raters and those
-- who hold a lease get nothing. Places in the list of raters with the tasks that they were given.
--
-- A rater whose row somebody else has the lock of, or has written since its version (xmin) was read, gets nothing here and is looked after
-- alone: nobody waits. Each statement sees what was committed before it, so a lease that was given a moment ago is seen.
CREATE FUNCTION endcap_claim(
    raters TEXT[], versions TEXT[], firsts INT[], lasts INT[], tasks TEXT[], assignments TEXT[], orders_of_two JSONB[], orders_of_three JSONB[],
    claimed_at TIMESTAMPTZ, held_until TIMESTAMPTZ
) RETURNS TABLE (place INT, claimed TEXT) LANGUAGE plpgsql ROWS 1 SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    active TEXT[];
    free RECORD;
BEGIN
    SELECT array_agg(locked.rater_id) INTO active FROM (
        SELECT rater_id FROM rater_profiles
        WHERE rater_id = ANY (raters) AND is_active AND xmin::text = versions[array_position(raters, rater_id::text)]
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS locked;
    FOR n IN 1 .. cardinality(raters) LOOP
        CONTINUE WHEN NOT COALESCE(raters[n] = ANY (active), FALSE)
            OR EXISTS (SELECT FROM task_assignments AS held WHERE held.rater_id = raters[n] AND held.state = 'leased');
        SELECT first.* INTO free FROM unnest(tasks[firsts[n]:lasts[n]]) AS wanted (task_id) CROSS JOIN LATERAL (
            SELECT rating_tasks.task_id, rating_tasks.status, rating_tasks.candidate_c IS NOT NULL AS has_third
            FROM rating_tasks INNER JOIN task_queue ON task_queue.task_id = rating_tasks.task_id
            WHERE rating_tasks.task_id = wanted.task_id AND NOT rating_tasks.is_golden AND task_queue.is_open
            FOR UPDATE SKIP LOCKED
        ) AS first LIMIT 1;
        CONTINUE WHEN NOT FOUND;
        UPDATE task_queue SET open_leases = open_leases + 1 WHERE task_queue.task_id = free.task_id;
        INSERT INTO task_assignments (
            assignment_id, task_id, rater_id, state, purpose, display_order, leased_at, expires_at, heartbeat_at, created_at, updated_at
        ) VALUES (
            assignments[n], free.task_id, raters[n], 'leased', 'work',
            CASE WHEN free.has_third THEN orders_of_three[n] ELSE orders_of_two[n] END,
            claimed_at, held_until, claimed_at, claimed_at, claimed_at
        );
        IF free.status = 'pending' THEN
            UPDATE rating_tasks SET status = 'in_progress', assigned_at = COALESCE(assigned_at, claimed_at), updated_at = claimed_at
            WHERE rating_tasks.task_id = free.task_id;
        END IF;
        place := n;
        claimed := free.task_id;
        RETURN NEXT;
    END LOOP;
END $$;
