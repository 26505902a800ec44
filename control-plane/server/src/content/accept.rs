//! The `Accept` header: clauses in the order a client prefers them, the first one that can be served wins.
//!
//! A clause that names a representation the endpoint does not have is passed over, not refused: clients list what they
//! would rather have first and what everybody has last.

use sampan_api::resource::Resource;
use sampan_api::schema::schemas;
use sampan_api::status::{Details, MEDIA_TYPES, STREAM_MEDIA_TYPES, Status};

use super::{Form, Format, Include, Offer};
use crate::api::Result;

/// What was agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) format: Format,
    pub(super) form: Form,
    /// `pretty=1` stands in the clause.
    pub(super) pretty: bool,
}

impl Choice {
    pub(super) const DEFAULT: Choice = Choice {
        format: Format::Json,
        form: Form::Whole,
        pretty: false,
    };
}

/// Chooses what to answer with.
pub(super) fn choose(
    accept: &str,
    offer: Offer,
    include: Include,
    resource: Option<&Resource>,
) -> Result<Choice> {
    if accept.trim().is_empty() {
        return Ok(Choice::DEFAULT);
    }
    let mut known = false;
    for clause in by_preference(accept) {
        for format in clause.formats() {
            known = true;
            match clause.choice(*format, offer, include, resource)? {
                Some(choice) if offer == Offer::Watch && choice.format == Format::Yaml => {
                    return Err(Status::not_acceptable(STREAM_MEDIA_TYPES));
                }
                Some(choice) => return Ok(choice),
                None => {}
            }
        }
    }
    if known {
        return Err(Status::not_acceptable(MEDIA_TYPES));
    }
    Err(nothing_of_it(offer))
}

/// Media types in the order the client prefers them, each in its two halves.
pub(crate) fn media_types(accept: &str) -> impl Iterator<Item = (&str, &str)> {
    by_preference(accept)
        .into_iter()
        .map(|clause| (clause.kind, clause.subkind))
}

/// The format of a refusal: as asked for, and JSON when that cannot be had.
pub(super) fn refusal_format(accept: &str) -> Format {
    choose(accept, Offer::Plain, Include::Metadata, None)
        .map_or(Format::Json, |choice| choice.format)
}

/// No clause names a media type of ours. Upstream finds that out before anything else, in other words.
fn nothing_of_it(offer: Offer) -> Status {
    let streams = match offer {
        Offer::List | Offer::Watch => format!(", {STREAM_MEDIA_TYPES}"),
        Offer::Object | Offer::Plain | Offer::Document => String::new(),
    };
    let mut refusal = Status::not_acceptable(MEDIA_TYPES);
    refusal.message =
        format!("406: Not Acceptable\n\nAvailable representations: {MEDIA_TYPES}{streams}");
    refusal.details = Some(Box::new(Details::default()));
    refusal
}

#[derive(Debug)]
struct Clause<'a> {
    kind: &'a str,
    subkind: &'a str,
    parameters: &'a str,
    quality: f32,
}

impl<'a> Clause<'a> {
    /// `None` for what is no media type.
    fn parse(text: &'a str) -> Option<Clause<'a>> {
        let (media, parameters) = text.split_once(';').unwrap_or((text, ""));
        let media = media.trim();
        let (kind, subkind) = match media.split_once('/') {
            Some((kind, subkind)) if !subkind.contains('/') => (kind.trim(), subkind.trim()),
            None if media == "*" => ("*", "*"),
            _ => return None,
        };
        let mut clause = Clause {
            kind,
            subkind,
            parameters,
            quality: 1.0,
        };
        if let Some(quality) = clause.parameter("q") {
            clause.quality = quality.parse().unwrap_or(0.0);
        }
        (clause.quality > 0.0).then_some(clause)
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters.split(';').find_map(|part| {
            let (key, value) = part.split_once('=')?;
            let value = value.trim().trim_matches('"');
            (key.trim() == name && !value.is_empty()).then_some(value)
        })
    }

    /// The formats the clause may mean, in the order we prefer them.
    fn formats(&self) -> &'static [Format] {
        match (self.kind, self.subkind) {
            ("*" | "application", "*") => &[Format::Json, Format::Yaml, Format::Protobuf],
            ("application", "json") => &[Format::Json],
            ("application", "yaml") => &[Format::Yaml],
            ("application", "vnd.kubernetes.protobuf") => &[Format::Protobuf],
            _ => &[],
        }
    }

    /// What the clause means in `format`; `None` when that is not offered.
    fn choice(
        &self,
        format: Format,
        offer: Offer,
        include: Include,
        resource: Option<&Resource>,
    ) -> Result<Option<Choice>> {
        if format == Format::Protobuf && offer == Offer::Document {
            return Ok(None);
        }
        // Custom resources have no protobuf form; their metadata has.
        let built_in = |resource: &Resource| schemas().by_name(resource.type_name).is_some();
        if format == Format::Protobuf
            && self.parameter("as").is_none()
            && !resource.is_none_or(built_in)
        {
            return Ok(None);
        }
        let streams = format != Format::Yaml;
        if self
            .parameter("stream")
            .is_some_and(|stream| stream != "watch" || !streams)
            || self.parameter("sv").is_some()
        {
            return Ok(None);
        }
        let conversion = ["as", "g", "v"].map(|name| self.parameter(name));
        let form = if conversion.iter().all(Option::is_none) {
            Form::Whole
        } else {
            match form(conversion, format, offer, include, resource)? {
                Some(form) => form,
                None => return Ok(None),
            }
        };
        Ok(Some(Choice {
            format,
            form,
            pretty: self.parameter("pretty") == Some("1"),
        }))
    }
}

fn form(
    conversion: [Option<&str>; 3],
    format: Format,
    offer: Offer,
    include: Include,
    resource: Option<&Resource>,
) -> Result<Option<Form>> {
    let [Some(kind), Some("meta.k8s.io"), Some("v1" | "v1beta1")] = conversion else {
        return Ok(None);
    };
    Ok(match (kind, offer) {
        (_, Offer::Plain | Offer::Document) => None,
        // Tables are for people, and have no protobuf form.
        ("Table", _) if format == Format::Protobuf => None,
        ("Table", _) => Some(Form::Table(include)),
        ("PartialObjectMetadata", Offer::List) => return Err(mismatch(kind, "a list", resource)),
        ("PartialObjectMetadata", _) | ("PartialObjectMetadataList", Offer::List) => {
            Some(Form::Partial)
        }
        ("PartialObjectMetadataList", _) => return Err(mismatch(kind, "not a list", resource)),
        _ => None,
    })
}

/// Asked for a list of one thing, or for one thing of a list. Clients know the type by the name it has upstream.
fn mismatch(kind: &str, what: &str, resource: Option<&Resource>) -> Status {
    let list = if what == "a list" { "List" } else { "" };
    let go_type = resource.map_or(String::new(), |resource| {
        let package = match resource.group.split('.').next() {
            // Events are one type in upstream's server, whichever group they are asked in.
            None | Some("" | "events") => "core",
            Some(package) => package,
        };
        format!(" (*{package}.{}{list})", resource.kind)
    });
    let mut refusal = Status::not_acceptable(MEDIA_TYPES);
    refusal.message = format!("you requested {kind}, but the requested object is {what}{go_type}");
    refusal
}

/// Clauses by falling quality, whole media types before wildcards, in the order written among equals.
fn by_preference(accept: &str) -> Vec<Clause<'_>> {
    let mut clauses: Vec<Clause<'_>> = accept.split(',').filter_map(Clause::parse).collect();
    clauses.sort_by(|a, b| {
        let wildcards = |clause: &Clause<'_>| (clause.kind == "*", clause.subkind == "*");
        b.quality
            .total_cmp(&a.quality)
            .then_with(|| wildcards(a).cmp(&wildcards(b)))
    });
    clauses
}

#[cfg(test)]
mod tests {
    use sampan_api::resource::find;

    use super::*;

    #[test]
    fn accept() {
        let check = |accept: &str, offer| match choose(
            accept,
            offer,
            Include::Metadata,
            find("", "v1", "pods"),
        ) {
            Ok(choice) => format!("{:?} {:?}", choice.format, choice.form),
            Err(status) => status.code.to_string(),
        };
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        let partial = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
        let partial_list = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        let protobuf = "application/vnd.kubernetes.protobuf";
        for (accept, offer, expected) in [
            ("", Offer::List, "Json Whole"),
            ("*/*", Offer::List, "Json Whole"),
            ("*", Offer::List, "Json Whole"),
            ("application/yaml", Offer::List, "Yaml Whole"),
            ("application/yaml", Offer::Watch, "406"),
            ("application/json, */*", Offer::Plain, "Json Whole"),
            ("*/*, application/yaml", Offer::Object, "Yaml Whole"),
            (protobuf, Offer::List, "Protobuf Whole"),
            (protobuf, Offer::Plain, "Protobuf Whole"),
            (protobuf, Offer::Document, "406"),
            (
                "application/vnd.kubernetes.protobuf,application/json",
                Offer::Document,
                "Json Whole",
            ),
            (
                "application/vnd.kubernetes.protobuf,application/json",
                Offer::List,
                "Protobuf Whole",
            ),
            (
                "application/vnd.kubernetes.protobuf;q=0.8,application/json",
                Offer::List,
                "Json Whole",
            ),
            (
                "application/vnd.kubernetes.protobuf;stream=watch",
                Offer::Watch,
                "Protobuf Whole",
            ),
            (
                "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io",
                Offer::List,
                "406",
            ),
            (
                "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json",
                Offer::List,
                "Json Whole",
            ),
            (
                "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
                Offer::Watch,
                "Protobuf Partial",
            ),
            ("application/cbor", Offer::List, "406"),
            ("text/html", Offer::Watch, "406"),
            ("nonsense, ;;, a/b/c", Offer::Object, "406"),
            (table, Offer::List, "Json Table(Metadata)"),
            (table, Offer::Plain, "Json Whole"),
            (
                "application/json;as=Table;v=v1;g=meta.k8s.io",
                Offer::Plain,
                "406",
            ),
            (
                "application/json;as=Table;v=v9;g=meta.k8s.io",
                Offer::List,
                "406",
            ),
            ("application/json;v=v1", Offer::List, "406"),
            ("application/json;stream=other", Offer::List, "406"),
            ("application/json;sv=v1", Offer::List, "406"),
            (partial, Offer::Object, "Json Partial"),
            (partial, Offer::Watch, "Json Partial"),
            (partial, Offer::List, "406"),
            (partial_list, Offer::List, "Json Partial"),
            (partial_list, Offer::Object, "406"),
            (
                "application/yaml;q=0.5,application/json",
                Offer::Object,
                "Json Whole",
            ),
            ("application/json;q=0", Offer::Object, "406"),
            ("application/json;q=x", Offer::Object, "406"),
            ("application/json;stream=watch", Offer::Watch, "Json Whole"),
        ] {
            assert_eq!(check(accept, offer), expected, "{accept} {offer:?}");
        }
        let pretty = choose(
            "application/json;pretty=1",
            Offer::Object,
            Include::None,
            None,
        );
        assert!(pretty.expect("accepted").pretty);
    }

    #[test]
    fn custom_resources_have_no_protobuf_form() {
        let Some(pods) = find("", "v1", "pods") else {
            panic!("pods are served");
        };
        let custom = Resource {
            type_name: "com.example.stable.v1.CronTab",
            short_names: &[],
            categories: &[],
            verbs: pods.verbs,
            subresources: pods.subresources,
            field_labels: &[],
            ..*pods
        };
        let check =
            |accept: &str, offer| match choose(accept, offer, Include::Metadata, Some(&custom)) {
                Ok(choice) => format!("{:?} {:?}", choice.format, choice.form),
                Err(status) => status.code.to_string(),
            };
        let protobuf = "application/vnd.kubernetes.protobuf";
        for (accept, expected) in [
            (protobuf.to_owned(), "406"),
            (format!("{protobuf},application/json"), "Json Whole"),
            (format!("{protobuf},*/*"), "Json Whole"),
            (
                format!("{protobuf};as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"),
                "Protobuf Partial",
            ),
        ] {
            assert_eq!(check(&accept, Offer::Object), expected, "{accept}");
        }
    }

    #[test]
    fn words() {
        let refused = |accept: &str, offer| {
            choose(accept, offer, Include::None, find("", "v1", "pods"))
                .expect_err(accept)
                .message
        };
        assert_eq!(
            refused("text/html", Offer::List),
            "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf, application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"
        );
        assert_eq!(
            refused("application/json;as=Other;g=meta.k8s.io;v=v1", Offer::List),
            "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf"
        );
        assert_eq!(
            refused("application/yaml", Offer::Watch),
            "only the following media types are accepted: application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"
        );
        assert_eq!(
            refused(
                "*/*;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
                Offer::List
            ),
            "you requested PartialObjectMetadata, but the requested object is a list (*core.PodList)"
        );
    }

    #[test]
    fn refusals_speak_the_clients_format() {
        for (accept, expected) in [
            ("", Format::Json),
            ("application/vnd.kubernetes.protobuf, */*", Format::Protobuf),
            ("application/yaml", Format::Yaml),
            ("text/html", Format::Json),
            (
                "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json",
                Format::Json,
            ),
        ] {
            assert_eq!(refusal_format(accept), expected, "{accept}");
        }
    }
}
