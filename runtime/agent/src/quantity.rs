//! Amounts of resources as plain integers, clamped to what CRI and this program count in.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Thousandths, rounded up: for CPU.
pub(crate) fn milli(quantity: &Quantity) -> Option<i64> {
    let parsed = sampan_api::quantity::Quantity::parse(&quantity.0).ok()?;
    Some(clamp(parsed.milli()))
}

/// Whole units, rounded up: for bytes and counts.
pub(crate) fn whole(quantity: &Quantity) -> Option<i64> {
    let parsed = sampan_api::quantity::Quantity::parse(&quantity.0).ok()?;
    Some(clamp(parsed.units()))
}

/// The text the API server would turn it into, so that what comes back compares equal.
pub(crate) fn canonical(text: String) -> String {
    match sampan_api::quantity::Quantity::parse(&text) {
        Ok(parsed) => parsed.to_string(),
        Err(_) => text,
    }
}

fn clamp(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}
