pub const NAMES: [&str; 0] = [];
