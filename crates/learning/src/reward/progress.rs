//! How far a training is, for whoever waits for it.

/// A report of progress.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Share of the expected work that is done, 0 to 1, never falling.
    pub share: f64,
    /// What is being done, for people.
    pub step: &'static str,
}

/// Reports to a caller from one stretch of the work at a time.
pub(super) struct Steps<'a> {
    report: &'a mut dyn FnMut(Progress),
    from: f64,
    to: f64,
}

impl<'a> Steps<'a> {
    pub(super) fn new(report: &'a mut dyn FnMut(Progress)) -> Self {
        Self { report, from: 0.0, to: 0.0 }
    }

    /// Begins the stretch that ends at `to` of all the work.
    pub(super) fn stretch(&mut self, to: f64, step: &'static str) {
        (self.from, self.to) = (self.to, to);
        self.at(0.0, step);
    }

    /// Where the present stretch ends.
    pub(super) fn reached(&self) -> f64 {
        self.to
    }

    /// Reports a share of the present stretch.
    pub(super) fn at(&mut self, share: f64, step: &'static str) {
        (self.report)(Progress { share: self.from + (self.to - self.from) * share.clamp(0.0, 1.0), step });
    }
}
