-- What every judgment writes, made cheaper.
-- There are few raters, and each of their judgments moved them in it. (The other databases also keep three indexes smaller.)
DROP INDEX rater_profiles_is_active_total_judgments_idx ON rater_profiles;
