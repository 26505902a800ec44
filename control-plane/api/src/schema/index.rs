//! Where a field of a name stands among the fields of its type. Every name in every body and answer is looked up, so it is
//! hashed: with a search by halves, comparing names takes longer than everything else about a field.

use super::Field;

/// Positions of fields, by a hash of their names; a place that is taken moves the next one on.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Index(Box<[u16]>);

const FREE: u16 = u16::MAX;

impl Index {
    pub(crate) fn new(fields: &[Field]) -> Index {
        // Half of the places stay free, so that searches end soon.
        let mut places = vec![FREE; (fields.len() * 2).next_power_of_two()];
        for (position, field) in (0..FREE).zip(fields) {
            let free = probe(&field.name, places.len()).find(|place| places[*place] == FREE);
            if let Some(place) = free {
                places[place] = position;
            }
        }
        Index(places.into())
    }

    /// The position of the field of that name.
    pub(super) fn find(&self, fields: &[Field], name: &str) -> Option<usize> {
        for place in probe(name, self.0.len()) {
            let position = self.0[place];
            if position == FREE {
                return None;
            }
            let position = usize::from(position);
            if fields
                .get(position)
                .is_some_and(|field| *field.name == *name)
            {
                return Some(position);
            }
        }
        None
    }
}

/// Places to look at, in order; their number is a power of two.
fn probe(name: &str, places: usize) -> impl Iterator<Item = usize> {
    let bytes = name.as_bytes();
    let at = |index: usize| bytes.get(index).map_or(0, |byte| usize::from(*byte));
    // Names of one type seldom agree in all of these.
    let hash =
        bytes.len() * 7 + at(0) * 31 + at(bytes.len() / 2) * 5 + at(bytes.len().wrapping_sub(1));
    (0..places).map(move |step| (hash + step) & (places - 1))
}

#[cfg(test)]
mod tests {
    use crate::schema::schemas;

    #[test]
    fn every_field_is_found_and_nothing_else() {
        for ty in &schemas().types {
            for (position, field) in ty.fields.iter().enumerate() {
                assert_eq!(ty.position(&field.name), Some(position), "{}", ty.name);
            }
            for name in ["", "x", "metadat", "metadataa", "\u{e9}"] {
                let found = ty.fields.iter().position(|field| *field.name == *name);
                assert_eq!(ty.position(name), found, "{} {name}", ty.name);
            }
        }
    }
}
