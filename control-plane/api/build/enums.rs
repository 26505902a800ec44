//! Reads `enums.txt`: which values a field may have. k8s-openapi's schemas leave them out.

use std::collections::BTreeMap;

use crate::Result;
use crate::names::message_name;
use crate::types::Type;

/// Message and field -> values.
pub(crate) struct Enums(BTreeMap<String, Vec<String>>);

/// Lines of values, then indented lines of one field each that has them. `#` starts a comment.
pub(crate) fn parse(text: &str) -> Result<Enums> {
    let mut enums = BTreeMap::new();
    let mut values = Vec::new();
    let mut complete = false;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    for line in lines.filter(|line| !line.trim().is_empty()) {
        if line.starts_with(' ') {
            complete = true;
            if enums
                .insert(line.trim().to_owned(), values.clone())
                .is_some()
            {
                return Err(format!("enums.txt has {} twice", line.trim()));
            }
            continue;
        }
        if std::mem::take(&mut complete) {
            values.clear();
        }
        let words = line.split('|').map(str::trim);
        let words = words.filter(|word| !word.is_empty());
        values.extend(words.map(|word| word.trim_matches('"').to_owned()));
    }
    Ok(Enums(enums))
}

impl Enums {
    /// Notes the values at their fields.
    pub(crate) fn note(mut self, types: &mut [Type]) -> Result<()> {
        for ty in types {
            let message = message_name(&ty.name);
            for field in &mut ty.fields {
                let values = self.0.remove(&format!("{message}.{}", field.name));
                field.values = values.unwrap_or_default();
            }
        }
        match self.0.keys().next() {
            Some(field) => Err(format!("enums.txt: there is no field {field}")),
            None => Ok(()),
        }
    }
}
