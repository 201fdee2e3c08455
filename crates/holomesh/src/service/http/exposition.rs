//! Prometheus' text exposition format, version 0.0.4.

use std::fmt::Write;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only goes up while the process lives; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// A page of metrics. A family has all its samples together, so it is written in one go.
#[derive(Debug, Default)]
pub(super) struct Page(String);

impl Page {
    /// A metric without labels.
    pub(super) fn one(&mut self, kind: Kind, name: &str, help: &str, value: impl Into<f64>) {
        self.head(kind, name, help);
        self.sample(name, &[], value.into());
    }

    /// A metric with one sample for each value of one label. Values come from a closed set, so that what is stored for a
    /// node does not grow with the number of its peers.
    pub(super) fn each(
        &mut self,
        kind: Kind,
        name: &str,
        help: &str,
        label: &'static str,
        samples: impl IntoIterator<Item = (&'static str, f64)>,
    ) {
        self.head(kind, name, help);
        for (value, sample) in samples {
            self.sample(name, &[(label, value)], sample);
        }
    }

    /// A metric whose value is 1 and whose labels are what it says.
    pub(super) fn info(&mut self, name: &str, help: &str, labels: &[(&'static str, &str)]) {
        self.head(Kind::Gauge, name, help);
        self.sample(name, labels, 1.0);
    }

    pub(super) fn finish(self) -> String {
        self.0
    }

    fn head(&mut self, kind: Kind, name: &str, help: &str) {
        let word = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        debug_assert!(name.ends_with("_total") == (kind == Kind::Counter), "{name}");
        // Writing to a string can't fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {word}\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&'static str, &str)], value: f64) {
        self.0.push_str(name);
        for (n, (label, text)) in labels.iter().enumerate() {
            self.0.push(if n == 0 { '{' } else { ',' });
            let _ = write!(self.0, "{label}=\"{}\"", escape(text));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{close} {value}");
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
