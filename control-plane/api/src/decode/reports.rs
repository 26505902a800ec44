//! What a body is warned of: fields nobody knows, and fields given twice.

/// How many reports a body may cause; more help nobody.
pub(super) const MAX_REPORTS: usize = 100;

/// How many bytes of paths they may take, those met again included: where a path is as long as a body, each report
/// costs as much as reading one.
const MAX_BYTES: usize = 1024 * 1024;

/// The reports about one body, none twice.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    texts: Vec<String>,
    /// Bytes of paths.
    written: usize,
}

impl Reports {
    /// A field that the type does not have.
    pub(crate) fn unknown(&mut self, path: &str) {
        self.add("unknown", path);
    }

    /// A field that is there for the second time.
    pub(crate) fn duplicate(&mut self, path: &str) {
        self.add("duplicate", path);
    }

    fn add(&mut self, what: &str, path: &str) {
        if self.texts.len() >= MAX_REPORTS || self.written >= MAX_BYTES {
            return;
        }
        self.written += path.len();
        let text = format!("{what} field \"{path}\"");
        if !self.texts.contains(&text) {
            self.texts.push(text);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    pub(crate) fn into_texts(self) -> Vec<String> {
        self.texts
    }

    /// By path.
    pub(crate) fn into_sorted(mut self) -> Vec<String> {
        self.texts.sort();
        self.texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_told_twice() {
        let mut reports = Reports::default();
        for path in ["b", "a", "b"] {
            reports.unknown(path);
            reports.duplicate(path);
        }
        let told = [
            r#"duplicate field "a""#,
            r#"duplicate field "b""#,
            r#"unknown field "a""#,
            r#"unknown field "b""#,
        ];
        assert_eq!(reports.into_sorted(), told);
    }

    #[test]
    fn they_are_bounded() {
        let mut reports = Reports::default();
        (0..10 * MAX_REPORTS).for_each(|at| reports.unknown(&at.to_string()));
        assert_eq!(reports.into_texts().len(), MAX_REPORTS);
        let mut reports = Reports::default();
        let long = "x".repeat(MAX_BYTES / 2);
        for path in ["a", "b", "c"].map(|name| format!("{long}.{name}")) {
            // Again and again, which takes its part too.
            reports.duplicate(&path);
            reports.duplicate(&path);
        }
        assert_eq!(reports.into_texts().len(), 1);
    }
}
