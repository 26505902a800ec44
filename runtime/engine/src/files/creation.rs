//! Opening a file that may have to be made: where none can be made, only one that is there can be opened.

use super::mark::Mark;

/// What a guest asks for.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    /// The file is made if it is not there.
    pub(super) create: bool,
    /// It must not be there.
    pub(super) exclusive: bool,
}

/// Why no file can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The folder's names are fixed.
    ReadOnly,
    /// There is no room for another file.
    Full,
}

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Creation {
    /// What it means if no file is there, if not only that: then none is asked for to be made.
    pub(super) missing: Option<Refused>,
    /// A file that is there nevertheless is an error.
    pub(super) must_be_new: bool,
}

/// What may be done at a place with these rules. May wait until it is known how full that is.
pub(super) async fn creation(mark: Option<&Mark>, wanted: Wanted) -> Creation {
    let missing = match mark.filter(|_| wanted.create) {
        Some(mark) if mark.fixed.is_some() => Some(Refused::ReadOnly),
        Some(mark) => match &mark.quota {
            Some(quota) if !quota.take_entry().await => Some(Refused::Full),
            _ => None,
        },
        None => None,
    };
    Creation {
        missing,
        must_be_new: missing.is_some() && wanted.exclusive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::mark::Fixed;
    use std::sync::Arc;

    #[tokio::test]
    async fn a_folder_with_fixed_names_has_no_new_file() {
        let fixed = Mark {
            fixed: Some(Arc::new(Fixed::default())),
            quota: None,
        };
        let asked = async |mark, create, exclusive| {
            let rules = creation(mark, Wanted { create, exclusive }).await;
            (rules.missing, rules.must_be_new)
        };
        let (plain, read_only) = (Mark::default(), Some(Refused::ReadOnly));
        for (mark, create, exclusive, expected) in [
            (None, true, true, (None, false)),
            (Some(&plain), true, true, (None, false)),
            (Some(&fixed), false, true, (None, false)),
            (Some(&fixed), true, false, (read_only, false)),
            (Some(&fixed), true, true, (read_only, true)),
        ] {
            assert_eq!(asked(mark, create, exclusive).await, expected);
        }
    }
}
