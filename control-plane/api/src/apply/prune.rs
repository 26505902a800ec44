//! What an applier stops mentioning goes away, unless somebody else owns it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use super::extract::fields;
use super::kind::Kind;
use super::managed::Entry;
use super::place::Place;
use super::remove::remove;
use super::set::Set;
use super::typed_set::with_named;

/// An object in one of the versions of its kind.
type Versioned<'v, 'a> = (Cow<'v, Value>, Place<'a>);

/// Takes out of the merged object what the applier owned `last` time, and puts back what it or
/// others own now, and what it never owned but was below. `managers` already has its new set.
pub(super) fn prune(
    kind: &Kind<'_>,
    merged: Value,
    managers: &[Entry<'_>],
    last: &Entry<'_>,
) -> Result<Value, String> {
    if last.set.is_empty() {
        return Ok(merged);
    }
    // Fields have the names of the version they were applied in.
    let version = last.api_version;
    let Some((whole, place)) = in_version(kind, &merged, kind.api_version, version) else {
        return Ok(merged);
    };
    let owned_before = with_named(&last.set, Some(place));
    let pruned = without(&whole, &owned_before, place)?;
    let pruned = put_back_owned(kind, &whole, pruned, version, managers)?;
    // Of what is gone now, only what was this applier's may be.
    let gone = named(&whole, place)?.difference(&named(&pruned, place)?);
    let pruned = without(&whole, &gone.intersection(&owned_before), place)?;
    if version == kind.api_version {
        return Ok(pruned);
    }
    (kind.convert)(&pruned, kind.api_version)
        .ok_or_else(|| format!("{version} does not convert to {}", kind.api_version))
}

/// Puts back what anybody owns, in the version it is owned in. That of the pruned object comes
/// first: what was taken out may be needed for a conversion.
fn put_back_owned(
    kind: &Kind<'_>,
    merged: &Value,
    mut pruned: Value,
    version: &str,
    managers: &[Entry<'_>],
) -> Result<Value, String> {
    let mut owned: BTreeMap<&str, Vec<&Set<'_>>> = BTreeMap::new();
    for entry in managers {
        owned.entry(entry.api_version).or_default().push(&entry.set);
    }
    let first = owned.remove_entry(version);
    for (owned_in, sets) in first.into_iter().chain(owned) {
        let whole = in_version(kind, merged, version, owned_in);
        let rest = in_version(kind, &pruned, version, owned_in);
        let (Some((whole, place)), Some((rest, _))) = (whole, rest) else {
            continue;
        };
        let kept = named(&rest, place)?.union(&with_named(&Set::union_of(sets), Some(place)));
        let gone = named(&whole, place)?.difference(&kept);
        let back = without(&whole, &gone, place)?;
        pruned = if owned_in == version {
            back
        } else {
            (kind.convert)(&back, version)
                .ok_or_else(|| format!("{owned_in} does not convert to {version}"))?
        };
    }
    Ok(pruned)
}

fn in_version<'v, 'a>(
    kind: &Kind<'a>,
    object: &'v Value,
    from: &str,
    to: &str,
) -> Option<Versioned<'v, 'a>> {
    if from == to {
        return Some((Cow::Borrowed(object), kind.place_in(to)?));
    }
    let (object, place) = kind.converted(object, to)?;
    Some((Cow::Owned(object), place))
}

/// All fields of an object, with those that hold others.
fn named<'v>(object: &'v Value, place: Place<'v>) -> Result<Set<'v>, String> {
    Ok(with_named(&fields(object, place)?, Some(place)))
}

fn without(object: &Value, set: &Set<'_>, place: Place<'_>) -> Result<Value, String> {
    let mut left = object.clone();
    remove(&mut left, set, place)?;
    Ok(left)
}
