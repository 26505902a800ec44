//! Lists: repositories, tags, and what refers to a manifest.

use axum::response::{IntoResponse, Response};
use http::header;
use serde_json::{Value, json};

use crate::content::blocking;
use crate::digest::Digest;
use crate::manifest::{OCI_INDEX, Referrer};
use crate::registry::Registry;
use crate::registry::answer::Failure;
use crate::registry::index::Found;
use crate::registry::query::Query;
use crate::registry::routes::{Answer, PREFIX};

/// Manifests told of in one answer of the referrers API.
const REFERRERS_MAX: usize = 500;
/// One answer of the referrers API ends behind the manifest that made it this long: clients read as much of it as
/// of a manifest.
const REFERRERS_BYTES: usize = 1 << 20;

impl Registry {
    pub(crate) fn catalog(&self, query: &Query) -> Response {
        let count = query.count();
        let last = query.get("last").unwrap_or_default();
        let mut names = self.index.read().names(last, count + 1);
        let more = cut(&mut names, count);
        let link = next(&format!("{PREFIX}/_catalog"), &names, count, more);
        page("application/json", link, &json!({"repositories": names}))
    }

    pub(crate) fn tags(&self, name: &str, query: &Query) -> Answer {
        let count = query.count();
        let last = query.get("last").unwrap_or_default();
        let found = self.index.read().tags(name, last, count + 1);
        let mut tags = found.ok_or(Failure::NameUnknown)?;
        let more = cut(&mut tags, count);
        let link = next(&format!("{PREFIX}/{name}/tags/list"), &tags, count, more);
        let body = json!({"name": name, "tags": tags});
        Ok(page("application/json", link, &body))
    }

    /// The manifests about `subject`, as an index. Nothing is about what nobody knows: that is an empty index.
    pub(crate) async fn referrers(&self, name: &str, subject: &Digest, query: &Query) -> Answer {
        let wanted = query.get("artifactType").filter(|text| !text.is_empty());
        let last = query.digest("last")?;
        let found = self
            .index
            .read()
            .referrers(name, subject, wanted, last.as_ref());
        let content = self.content.clone();
        let described = blocking(move || describe(&found, |digest| content.path(digest))).await;
        let (entries, more) = described.map_err(Failure::io("read manifest"))?;
        let filter = wanted.map(|text| format!("&artifactType={}", escape(text)));
        let link = entries.last().filter(|_| more).map(|entry| {
            let last = entry["digest"].as_str().unwrap_or_default();
            let filter = filter.unwrap_or_default();
            format!("{PREFIX}/{name}/referrers/{subject}?last={last}{filter}")
        });
        let body = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries});
        let mut response = page(OCI_INDEX, link, &body);
        if wanted.is_some() {
            let applied = header::HeaderValue::from_static("artifactType");
            response
                .headers_mut()
                .insert("oci-filters-applied", applied);
        }
        Ok(response)
    }
}

/// Descriptors of manifests, and whether there are more than fit. Blocks.
fn describe(
    found: &[Found],
    path: impl Fn(&Digest) -> std::path::PathBuf,
) -> std::io::Result<(Vec<Value>, bool)> {
    let mut entries = Vec::new();
    let mut bytes = 0;
    for one in found {
        if entries.len() >= REFERRERS_MAX || bytes >= REFERRERS_BYTES {
            return Ok((entries, true));
        }
        let manifest = match std::fs::read(path(&one.digest)) {
            // Deleted since it was looked up.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            read => read?,
        };
        let mut entry =
            json!({"mediaType": one.media_type, "digest": one.digest, "size": manifest.len()});
        if !one.artifact_type.is_empty() {
            entry["artifactType"] = json!(one.artifact_type);
        }
        let annotations = Referrer::parse(&manifest).map(|read| read.annotations);
        if let Some(annotations) = annotations.ok().filter(|some| !some.is_empty()) {
            entry["annotations"] = json!(annotations);
        }
        bytes += entry.to_string().len();
        entries.push(entry);
    }
    Ok((entries, false))
}

/// Shortens a list that was read one longer than asked for; true when there was more.
fn cut(list: &mut Vec<String>, count: usize) -> bool {
    let more = list.len() > count;
    list.truncate(count);
    more
}

fn next(path: &str, listed: &[String], count: usize, more: bool) -> Option<String> {
    let last = listed.last().filter(|_| more)?;
    Some(format!("{path}?n={count}&last={last}"))
}

/// A list, with a link to what follows.
fn page(media_type: &'static str, next: Option<String>, body: &Value) -> Response {
    let media_type = [(header::CONTENT_TYPE, media_type)];
    let mut response = (media_type, body.to_string()).into_response();
    let link = next.map(|next| format!("<{next}>; rel=\"next\""));
    if let Some(Ok(link)) = link.map(|link| header::HeaderValue::from_str(&link)) {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}

/// Percent encoding of all that is not plain in a query.
fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    text.bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}
