//! Reads the `.proto` files: messages, fields, tags and the markers in their comments.
//!
//! The files are machine-made, one declaration a line, so this is a line reader and no parser of
//! the protobuf language: nested messages, enums and services do not occur in them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::Result;

/// Messages by full name: `api.core.v1.Pod`.
pub(crate) type Messages = BTreeMap<String, Message>;

#[derive(Default)]
pub(crate) struct Message {
    pub(crate) description: String,
    /// `structType=atomic` and the like, without the `+`.
    pub(crate) markers: Vec<String>,
    pub(crate) fields: Vec<Field>,
}

pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) tag: u32,
    pub(crate) repeated: bool,
    /// `string`, `map<string, string>`, or the full name of a message.
    pub(crate) ty: String,
    pub(crate) description: String,
    pub(crate) markers: Vec<String>,
}

impl Message {
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        // A dozen fields are spelt with other capitals than in JSON.
        self.fields
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case(name))
    }
}

/// All messages of all files below `root`.
pub(crate) fn read(root: &Path) -> Result<Messages> {
    let mut messages = Messages::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let failed = |error| format!("reading {}: {error}", folder.display());
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .file_name()
                .is_some_and(|name| name == "generated.proto")
            {
                let text = fs::read_to_string(&path).map_err(failed)?;
                file(&text, &mut messages)
                    .map_err(|error| format!("{}: {error}", path.display()))?;
            }
        }
    }
    Ok(messages)
}

/// Comment lines gathered until the declaration they belong to.
#[derive(Default)]
struct Comment {
    description: String,
    markers: Vec<String>,
}

impl Comment {
    fn line(&mut self, line: &str) {
        let line = line.trim();
        if let Some(marker) = line.strip_prefix('+') {
            self.markers.push(marker.to_owned());
        } else {
            if !self.description.is_empty() {
                self.description.push(' ');
            }
            self.description.push_str(line);
        }
    }
}

fn file(text: &str, messages: &mut Messages) -> Result<()> {
    let mut package = String::new();
    let mut open: Option<(String, Message)> = None;
    let mut comment = Comment::default();
    for line in text.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("//") {
            comment.line(rest);
            continue;
        }
        let Comment {
            description,
            markers,
        } = std::mem::take(&mut comment);
        if let Some(rest) = line.strip_prefix("package ") {
            package = rest.trim_end_matches(';').to_owned();
        } else if let Some(rest) = line.strip_prefix("message ") {
            let name = rest.trim_end_matches('{').trim();
            let message = Message {
                description,
                markers,
                fields: Vec::new(),
            };
            open = Some((format!("{package}.{name}"), message));
        } else if line == "}" {
            messages.extend(open.take());
        } else if let Some((_, message)) = &mut open
            && line.ends_with(';')
        {
            let field = field(line, &package, description, markers)
                .ok_or_else(|| format!("not understood: {line}"))?;
            message.fields.push(field);
        }
    }
    Ok(())
}

/// `repeated .api.core.v1.Toleration tolerations = 22;`
fn field(line: &str, package: &str, description: String, markers: Vec<String>) -> Option<Field> {
    let (left, tag) = line.trim_end_matches(';').rsplit_once('=')?;
    let (ty, name) = left.trim().rsplit_once(' ')?;
    let (repeated, ty) = match ty.split_once(' ') {
        Some(("repeated", ty)) => (true, ty),
        Some(("optional" | "required", ty)) => (false, ty),
        _ => (false, ty),
    };
    Some(Field {
        name: name.to_owned(),
        tag: tag.trim().parse().ok()?,
        repeated,
        ty: full_name(ty.trim(), package),
        description,
        markers,
    })
}

/// Messages of other packages carry a leading dot; scalars start with a small letter.
fn full_name(ty: &str, package: &str) -> String {
    match ty.strip_prefix('.') {
        Some(absolute) => absolute.to_owned(),
        None if ty.starts_with(|first: char| first.is_ascii_uppercase()) => {
            format!("{package}.{ty}")
        }
        None => ty.to_owned(),
    }
}
