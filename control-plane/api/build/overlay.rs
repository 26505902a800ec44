//! Reads `overlay.txt`: facts that neither source has.

use std::collections::{BTreeMap, BTreeSet};

use crate::Result;

#[derive(Default)]
pub(crate) struct Overlay {
    /// Fields that protobuf nests and JSON inlines.
    pub(crate) inline: BTreeSet<String>,
    /// Message -> scalar fields whose absence differs from zero.
    pub(crate) pointers: BTreeMap<String, BTreeSet<String>>,
    /// Message -> fields that Go writes even when they are empty.
    pub(crate) always: BTreeMap<String, BTreeSet<String>>,
    /// Message -> field -> tag, for what the `.proto` files are too old for.
    pub(crate) tags: BTreeMap<String, BTreeMap<String, u32>>,
    /// Message -> JSON name -> protobuf name.
    pub(crate) names: BTreeMap<String, BTreeMap<String, String>>,
    /// Message -> fields that the JSON Schemas demand and the API does not.
    pub(crate) optional: BTreeMap<String, BTreeSet<String>>,
    /// Message -> field -> markers in the words of the `.proto` comments.
    pub(crate) markers: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

/// One fact a line, `#` starts a comment.
pub(crate) fn parse(text: &str) -> Result<Overlay> {
    let mut overlay = Overlay::default();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(verb) = words.next() else { continue };
        fact(&mut overlay, verb, words)
            .ok_or_else(|| format!("overlay.txt, line {}: {line}", number + 1))?;
    }
    Ok(overlay)
}

fn fact<'a>(
    overlay: &mut Overlay,
    verb: &str,
    mut words: impl Iterator<Item = &'a str>,
) -> Option<()> {
    if verb == "inline" {
        overlay.inline.extend(words.map(str::to_owned));
        return Some(());
    }
    let message = words.next()?.to_owned();
    match verb {
        "pointer" => overlay
            .pointers
            .entry(message)
            .or_default()
            .extend(words.map(str::to_owned)),
        "always" => overlay
            .always
            .entry(message)
            .or_default()
            .extend(words.map(str::to_owned)),
        "optional" => overlay
            .optional
            .entry(message)
            .or_default()
            .extend(words.map(str::to_owned)),
        "tag" => {
            let tags = overlay.tags.entry(message).or_default();
            for word in words {
                let (field, tag) = word.split_once('=')?;
                tags.insert(field.to_owned(), tag.parse().ok()?);
            }
        }
        "name" => {
            let names = overlay.names.entry(message).or_default();
            for word in words {
                let (json, proto) = word.split_once('=')?;
                names.insert(json.to_owned(), proto.to_owned());
            }
        }
        "mark" => {
            let field = words.next()?.to_owned();
            let markers = overlay.markers.entry(message).or_default();
            markers
                .entry(field)
                .or_default()
                .extend(words.map(str::to_owned));
        }
        _ => return None,
    }
    Some(())
}
