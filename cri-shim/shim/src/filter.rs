//! The filters of list calls. Pure. All parts of a filter must match; an absent part always does.

use std::collections::BTreeMap;

use sampan_proto::v1;

type Labels = BTreeMap<String, String>;

pub(crate) fn sandbox(filter: Option<&v1::PodSandboxFilter>, item: &v1::PodSandbox) -> bool {
    let Some(filter) = filter else { return true };
    item.id.starts_with(&filter.id)
        && filter.state.is_none_or(|wanted| wanted.state == item.state)
        && has_labels(&filter.label_selector, &item.labels)
}

pub(crate) fn container(filter: Option<&v1::ContainerFilter>, item: &v1::Container) -> bool {
    let Some(filter) = filter else { return true };
    item.id.starts_with(&filter.id)
        && filter.state.is_none_or(|wanted| wanted.state == item.state)
        && item.pod_sandbox_id.starts_with(&filter.pod_sandbox_id)
        && has_labels(&filter.label_selector, &item.labels)
}

pub(crate) fn stats(
    filter: Option<&v1::ContainerStatsFilter>,
    id: &str,
    sandbox: &str,
    labels: &Labels,
) -> bool {
    let Some(filter) = filter else { return true };
    id.starts_with(&filter.id)
        && sandbox.starts_with(&filter.pod_sandbox_id)
        && has_labels(&filter.label_selector, labels)
}

fn has_labels(selector: &Labels, labels: &Labels) -> bool {
    selector
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs
            .iter()
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect()
    }

    #[test]
    fn parts_of_a_filter_must_all_match() {
        let item = v1::Container {
            id: "abcdef".into(),
            pod_sandbox_id: "123456".into(),
            state: v1::ContainerState::ContainerRunning.into(),
            labels: labels(&[("app", "web"), ("tier", "front")]),
            ..Default::default()
        };
        let state = |state: v1::ContainerState| {
            Some(v1::ContainerStateValue {
                state: state.into(),
            })
        };
        let all = v1::ContainerFilter::default();
        let cases = [
            (all.clone(), true),
            (
                v1::ContainerFilter {
                    id: "abc".into(),
                    ..all.clone()
                },
                true,
            ),
            (
                v1::ContainerFilter {
                    id: "bcd".into(),
                    ..all.clone()
                },
                false,
            ),
            (
                v1::ContainerFilter {
                    pod_sandbox_id: "123456".into(),
                    ..all.clone()
                },
                true,
            ),
            (
                v1::ContainerFilter {
                    pod_sandbox_id: "999".into(),
                    ..all.clone()
                },
                false,
            ),
            (
                v1::ContainerFilter {
                    state: state(v1::ContainerState::ContainerRunning),
                    ..all.clone()
                },
                true,
            ),
            // CREATED is zero: present, and no match.
            (
                v1::ContainerFilter {
                    state: state(v1::ContainerState::ContainerCreated),
                    ..all.clone()
                },
                false,
            ),
            (
                v1::ContainerFilter {
                    label_selector: labels(&[("app", "web")]),
                    ..all.clone()
                },
                true,
            ),
            (
                v1::ContainerFilter {
                    label_selector: labels(&[("app", "web"), ("x", "")]),
                    ..all.clone()
                },
                false,
            ),
        ];
        for (filter, expected) in cases {
            assert_eq!(container(Some(&filter), &item), expected, "{filter:?}");
        }
        assert!(container(None, &item));
    }
}
