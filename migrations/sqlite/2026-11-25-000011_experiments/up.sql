-- Experiments: what is compared, with whom, for how long; the definition is frozen once it runs.
CREATE TABLE experiments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    experiment_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    campaign BIGINT,
    name TEXT NOT NULL,
    hypothesis TEXT,
    design TEXT NOT NULL CHECK (design IN ('ab', 'geo', 'switchback')),
    status TEXT NOT NULL CHECK (status IN ('draft', 'running', 'concluded', 'archived')),
    salt TEXT NOT NULL,
    definition TEXT NOT NULL CHECK (json_valid(definition)),
    definition_hash TEXT,
    started_at TEXT,
    concluded_at TEXT,
    result TEXT CHECK (result IS NULL OR json_valid(result)),
    inputs_hash TEXT,
    status_reason TEXT,
    version INTEGER NOT NULL DEFAULT 1,
    created_by TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT experiments_tenant_id_experiment_id_key UNIQUE (tenant_id, experiment_id),
    CONSTRAINT experiments_campaign_fkey FOREIGN KEY (campaign) REFERENCES campaigns (id)
);
CREATE INDEX experiments_campaign_idx ON experiments (campaign);
CREATE INDEX experiments_tenant_id_status_id_idx ON experiments (tenant_id, status, id);
CREATE INDEX experiments_experiment_id_idx ON experiments (experiment_id);

-- What was seen: sums over n units for one unit or arm, day and hour.
CREATE TABLE experiment_observations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    experiment BIGINT NOT NULL,
    tenant_id TEXT NOT NULL,
    unit TEXT NOT NULL,
    arm TEXT NOT NULL,
    date DATE NOT NULL,
    hour INTEGER NOT NULL,
    n BIGINT NOT NULL,
    value_sum DOUBLE NOT NULL,
    value_sum_squares DOUBLE,
    covariate_sum DOUBLE,
    covariate_sum_squares DOUBLE,
    cross_sum DOUBLE,
    spend_micros BIGINT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT experiment_observations_experiment_unit_arm_date_hour_key UNIQUE (experiment, unit, arm, date, hour),
    CONSTRAINT experiment_observations_experiment_fkey FOREIGN KEY (experiment) REFERENCES experiments (id) ON DELETE CASCADE,
    CHECK (n > 0),
    CHECK (hour BETWEEN -1 AND 23)
);
CREATE INDEX experiment_observations_tenant_id_id_idx ON experiment_observations (tenant_id, id);

-- What experiments found about the incremental return of a line of a campaign.
CREATE TABLE response_calibrations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    calibration_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    campaign BIGINT NOT NULL,
    placement_type TEXT NOT NULL DEFAULT '',
    audience_segment TEXT NOT NULL DEFAULT '',
    iroas DOUBLE NOT NULL,
    standard_error DOUBLE NOT NULL,
    spend_micros BIGINT NOT NULL,
    currency TEXT NOT NULL,
    days INTEGER NOT NULL,
    n BIGINT NOT NULL,
    control_definition TEXT NOT NULL,
    experiment BIGINT NOT NULL,
    created_at TEXT NOT NULL,
    CONSTRAINT response_calibrations_calibration_id_key UNIQUE (calibration_id),
    CONSTRAINT response_calibrations_experiment_key UNIQUE (experiment),
    CONSTRAINT response_calibrations_campaign_fkey FOREIGN KEY (campaign) REFERENCES campaigns (id) ON DELETE CASCADE,
    CONSTRAINT response_calibrations_experiment_fkey FOREIGN KEY (experiment) REFERENCES experiments (id),
    CHECK (standard_error > 0),
    CHECK (spend_micros > 0),
    CHECK (days > 0),
    CHECK (n > 0)
);
CREATE INDEX response_calibrations_campaign_idx ON response_calibrations (campaign);
CREATE INDEX response_calibrations_tenant_id_id_idx ON response_calibrations (tenant_id, id);
