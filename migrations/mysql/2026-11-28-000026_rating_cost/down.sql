CREATE INDEX rater_profiles_is_active_total_judgments_idx ON rater_profiles (is_active, total_judgments);
