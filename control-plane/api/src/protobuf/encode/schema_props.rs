//! The places of CustomResourceDefinition schemas where JSON takes one of two types, as the messages they are.

use super::{EncodeError, Encoder};
use crate::protobuf::schema_props::{Choice, PROPS};

impl Encoder<'_> {
    pub(super) fn choice(
        &mut self,
        choice: Choice,
        tag: u32,
        depth: usize,
    ) -> Result<(), EncodeError> {
        let next = self.json.peek();
        let message = self.out.open(tag);
        match (choice, next) {
            (Choice::SchemaOrList, Some(b'[')) => {
                self.json.expect(b'[')?;
                let mut first = true;
                while self.json.more(&mut first, b']')? {
                    self.props(2, depth)?;
                }
            }
            (Choice::SchemaOrNames, Some(b'[')) => {
                self.json.expect(b'[')?;
                let mut first = true;
                while self.json.more(&mut first, b']')? {
                    let name = self.json.string()?;
                    self.out.bytes(2, name.as_bytes());
                }
            }
            (Choice::BoolOrSchema, Some(b'{')) => {
                // A schema allows what it describes.
                self.out.varint(1, 1);
                self.props(2, depth)?;
            }
            (Choice::BoolOrSchema, _) => {
                let allowed = self.json.boolean()?;
                self.out.varint(1, u64::from(allowed));
            }
            _ => self.props(1, depth)?,
        }
        self.out.close(message);
        Ok(())
    }

    fn props(&mut self, tag: u32, depth: usize) -> Result<(), EncodeError> {
        let id = self
            .schemas
            .by_name(PROPS)
            .ok_or_else(|| EncodeError::new("no schema of schemas is registered"))?;
        let message = self.out.open(tag);
        self.message(id, depth + 1)?;
        self.out.close(message);
        Ok(())
    }
}
