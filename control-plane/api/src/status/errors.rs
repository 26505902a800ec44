//! The errors found so far, none beyond what an answer lists.
//!
//! A body of a few megabytes can be wrong in a million ways, and the text about each may repeat a
//! megabyte of it. So errors are made when they are kept and not before, and what is kept is bounded:
//! rules push what they find and need not count. A rule whose looking is dear asks whether there is room.

use super::FieldError;

/// Most errors one answer lists.
pub const MAX_ERRORS: usize = 100;

/// What is wrong, in the order in which it was found.
#[derive(Default)]
pub(crate) struct Errors {
    list: Vec<FieldError>,
    found: usize,
}

impl Errors {
    pub(crate) fn new() -> Errors {
        Errors::default()
    }

    pub(crate) fn of(error: FieldError) -> Errors {
        Errors {
            list: vec![error],
            found: 1,
        }
    }

    /// Takes one more. It is not made when it would not be shown.
    pub(crate) fn push(&mut self, error: impl FnOnce() -> FieldError) {
        self.found += 1;
        if !self.is_full() {
            self.list.push(error());
        }
    }

    /// Takes the errors of another check.
    pub(crate) fn extend(&mut self, errors: impl IntoIterator<Item = FieldError>) {
        for error in errors {
            self.push(|| error);
        }
    }

    /// Whether no more would be shown, so that there is no use in looking further.
    pub(crate) fn is_full(&self) -> bool {
        self.list.len() >= MAX_ERRORS
    }

    /// How many were found, those included that are not kept: whether a rule found something shows in
    /// the difference.
    pub(crate) fn found(&self) -> usize {
        self.found
    }

    /// Sorts what came after so many were found by what it says.
    pub(crate) fn sort_since(&mut self, found: usize) {
        if let Some(news) = self.list.get_mut(found..) {
            news.sort_by_cached_key(ToString::to_string);
        }
    }

    pub(crate) fn into_list(self) -> Vec<FieldError> {
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_shown_is_not_made() {
        let (mut errors, mut made) = (Errors::new(), 0);
        for at in 0..1000 {
            errors.push(|| {
                made += 1;
                FieldError::required(format!("a[{at}]"), "")
            });
        }
        errors.extend([FieldError::required("b", "")]);
        assert!(errors.is_full());
        assert_eq!((errors.found(), made), (1001, MAX_ERRORS));
        let list = errors.into_list();
        assert_eq!(list.len(), MAX_ERRORS);
        assert_eq!(list[99].field, "a[99]");
    }
}
