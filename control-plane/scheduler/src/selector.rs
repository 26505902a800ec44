//! Label selectors as objects carry them, parsed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use sampan_api::selector::LabelSelector;

use crate::census::Labels;

/// An absent selector selects nothing. So does one that does not parse: the server refuses it, so it is never seen in practice.
pub(crate) fn parsed(selector: Option<&meta::LabelSelector>) -> LabelSelector {
    let Some(selector) = selector else {
        return LabelSelector::nothing();
    };
    let value = serde_json::to_value(selector).unwrap_or_default();
    LabelSelector::from_match(&value).unwrap_or_else(|_| LabelSelector::nothing())
}

pub(crate) fn meets(selector: &LabelSelector, labels: &Labels) -> bool {
    selector.matches(|key| labels.get(key).map(String::as_str))
}
