DROP TABLE response_calibrations;
DROP TABLE experiment_observations;
DROP TABLE experiments;
