-- Experiments: what is compared, with whom, for how long; the definition is frozen once it runs.
CREATE TABLE experiments (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    experiment_id VARCHAR(100) NOT NULL,
    tenant_id VARCHAR(100) NOT NULL,
    campaign BIGINT,
    name VARCHAR(200) NOT NULL,
    hypothesis LONGTEXT,
    design VARCHAR(20) NOT NULL CHECK (design IN ('ab', 'geo', 'switchback')),
    status VARCHAR(20) NOT NULL CHECK (status IN ('draft', 'running', 'concluded', 'archived')),
    salt VARCHAR(100) NOT NULL,
    definition JSON NOT NULL,
    definition_hash VARCHAR(64),
    started_at DATETIME(6),
    concluded_at DATETIME(6),
    result JSON,
    inputs_hash VARCHAR(64),
    status_reason LONGTEXT,
    version INTEGER NOT NULL DEFAULT 1,
    created_by VARCHAR(100) NOT NULL,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT experiments_tenant_id_experiment_id_key UNIQUE (tenant_id, experiment_id),
    CONSTRAINT experiments_campaign_fkey FOREIGN KEY (campaign) REFERENCES campaigns (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX experiments_campaign_idx ON experiments (campaign);
CREATE INDEX experiments_tenant_id_status_id_idx ON experiments (tenant_id, status, id);
CREATE INDEX experiments_experiment_id_idx ON experiments (experiment_id);

-- What was seen: sums over n units for one unit or arm, day and hour.
CREATE TABLE experiment_observations (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    experiment BIGINT NOT NULL,
    tenant_id VARCHAR(100) NOT NULL,
    unit VARCHAR(100) NOT NULL,
    arm VARCHAR(100) NOT NULL,
    date DATE NOT NULL,
    hour INTEGER NOT NULL,
    n BIGINT NOT NULL,
    value_sum DOUBLE NOT NULL,
    value_sum_squares DOUBLE,
    covariate_sum DOUBLE,
    covariate_sum_squares DOUBLE,
    cross_sum DOUBLE,
    spend_micros BIGINT,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    CONSTRAINT experiment_observations_experiment_unit_arm_date_hour_key UNIQUE (experiment, unit, arm, date, hour),
    CONSTRAINT experiment_observations_experiment_fkey FOREIGN KEY (experiment) REFERENCES experiments (id) ON DELETE CASCADE,
    CHECK (n > 0),
    CHECK (hour BETWEEN -1 AND 23)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX experiment_observations_tenant_id_id_idx ON experiment_observations (tenant_id, id);

-- What experiments found about the incremental return of a line of a campaign.
CREATE TABLE response_calibrations (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    calibration_id VARCHAR(100) NOT NULL,
    tenant_id VARCHAR(100) NOT NULL,
    campaign BIGINT NOT NULL,
    placement_type VARCHAR(100) NOT NULL DEFAULT '',
    audience_segment VARCHAR(100) NOT NULL DEFAULT '',
    iroas DOUBLE NOT NULL,
    standard_error DOUBLE NOT NULL,
    spend_micros BIGINT NOT NULL,
    currency VARCHAR(3) NOT NULL,
    days INTEGER NOT NULL,
    n BIGINT NOT NULL,
    control_definition LONGTEXT NOT NULL,
    experiment BIGINT NOT NULL,
    created_at DATETIME(6) NOT NULL,
    CONSTRAINT response_calibrations_calibration_id_key UNIQUE (calibration_id),
    CONSTRAINT response_calibrations_experiment_key UNIQUE (experiment),
    CONSTRAINT response_calibrations_campaign_fkey FOREIGN KEY (campaign) REFERENCES campaigns (id) ON DELETE CASCADE,
    CONSTRAINT response_calibrations_experiment_fkey FOREIGN KEY (experiment) REFERENCES experiments (id),
    CHECK (standard_error > 0),
    CHECK (spend_micros > 0),
    CHECK (days > 0),
    CHECK (n > 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE INDEX response_calibrations_campaign_idx ON response_calibrations (campaign);
CREATE INDEX response_calibrations_tenant_id_id_idx ON response_calibrations (tenant_id, id);
