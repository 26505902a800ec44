//! The difference of two values as a person reads it, for errors about what may not change.

use serde_json::Value;

/// Lines shown around the difference.
const CONTEXT: usize = 3;
/// Most lines of either side that are shown.
const MAX_LINES: usize = 60;

/// One hunk from the first to the last line that differs, in the form of `diff -u`.
pub(in super::super) fn unified(old: &Value, new: &Value) -> String {
    let (old, new) = (pretty(old), pretty(new));
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let same = old
        .iter()
        .zip(&new)
        .take_while(|(old, new)| old == new)
        .count();
    let most = old.len().min(new.len()) - same;
    let tail = old.iter().rev().zip(new.iter().rev()).take(most);
    let tail = tail.take_while(|(old, new)| old == new).count();
    let start = same.saturating_sub(CONTEXT);
    let after = tail.min(CONTEXT);
    let lengths = (
        old.len() - tail + after - start,
        new.len() - tail + after - start,
    );
    let mut hunk = format!(
        "@@ -{},{} +{},{} @@\n",
        start + 1,
        lengths.0,
        start + 1,
        lengths.1
    );
    let mut show = |mark: char, lines: &[&str]| {
        for line in lines.iter().take(MAX_LINES) {
            hunk.push(mark);
            hunk.push_str(line);
            hunk.push('\n');
        }
        if lines.len() > MAX_LINES {
            hunk.push_str("...\n");
        }
    };
    show(' ', &old[start..same]);
    show('-', &old[same..old.len() - tail]);
    show('+', &new[same..new.len() - tail]);
    show(' ', &old[old.len() - tail..old.len() - tail + after]);
    hunk
}

fn pretty(value: &Value) -> String {
    // A value that came from JSON always has a JSON form.
    serde_json::to_string_pretty(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::unified;
    use serde_json::json;

    #[test]
    fn one_hunk() {
        let old = json!({"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6, "g": 7});
        let new = json!({"a": 1, "b": 2, "c": 3, "d": 4, "e": 9, "f": 6, "g": 7});
        assert_eq!(
            unified(&old, &new),
            "@@ -3,7 +3,7 @@\n   \"b\": 2,\n   \"c\": 3,\n   \"d\": 4,\n-  \"e\": 5,\n+  \"e\": 9,\n\
             \u{20}  \"f\": 6,\n   \"g\": 7\n }\n"
        );
        assert_eq!(unified(&json!({}), &json!({})), "@@ -1,1 +1,1 @@\n {}\n");
    }
}
