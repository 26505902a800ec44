//! The fields behind a `scale` subresource must hold what a Scale can.

use serde_json::Value;

use crate::custom::scale::{Reading, Scale};
use crate::status::FieldError;

/// What is wrong with the wanted number of replicas.
pub(super) fn spec(scale: &Scale, value: &Value) -> Vec<FieldError> {
    replicas(&scale.spec_replicas, value)
}

/// What is wrong with the present number of replicas and with the selector.
pub(super) fn status(scale: &Scale, value: &Value) -> Vec<FieldError> {
    let mut errors = replicas(&scale.status_replicas, value);
    if let Some(path) = &scale.label_selector
        && let Err(why) = path.text(value)
    {
        errors.push(FieldError::invalid(path.as_str(), "", why));
    }
    errors
}

fn replicas(path: &Reading, value: &Value) -> Vec<FieldError> {
    let (value, why) = match path.integer(value) {
        Err(why) => (0, why),
        Ok(Some(number)) if number < 0 => (number, "should be a non-negative integer".to_owned()),
        Ok(Some(number)) if number > i64::from(i32::MAX) => {
            let max = i32::MAX;
            (number, format!("should be less than or equal to {max}"))
        }
        Ok(_) => return Vec::new(),
    };
    vec![FieldError::invalid(path.as_str(), value, why)]
}
