//! Checks made of schemas: anyOf, oneOf, allOf and not.
//!
//! Which of several alternatives is reported is only known when all were tried. So they are tried in
//! silence, and the one to report is gone through once more.

use std::mem;

use serde_json::Value;

use super::Walk;
use super::outcome::Outcome;
use crate::custom::schema::{Checks, Node};

impl Walk<'_> {
    pub(super) fn junctors(
        &mut self,
        checks: &Checks,
        value: &Value,
        old: Option<&Value>,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        if !checks.any_of.is_empty() {
            outcome.merge(self.any_of(&checks.any_of, value, old));
        }
        if !checks.one_of.is_empty() {
            outcome.merge(self.one_of(&checks.one_of, value, old));
        }
        if !checks.all_of.is_empty() {
            outcome.merge(self.all_of(&checks.all_of, value, old));
        }
        if let Some(node) = &checks.not
            && !self.tried(node, value, old).wrong
        {
            outcome.merge(self.refused("must not validate the schema (not)"));
        }
        outcome.matches += 1;
        outcome
    }

    fn any_of(&mut self, nodes: &[Node], value: &Value, old: Option<&Value>) -> Outcome {
        let mut best: Option<(&Node, Outcome)> = None;
        for node in nodes {
            let tried = self.tried(node, value, old);
            if !tried.wrong {
                return tried;
            }
            better(&mut best, node, tried);
        }
        let mut outcome = self.refused("must validate at least one schema (anyOf)");
        outcome.merge(self.told(best, value, old));
        outcome
    }

    fn one_of(&mut self, nodes: &[Node], value: &Value, old: Option<&Value>) -> Outcome {
        let mut best: Option<(&Node, Outcome)> = None;
        let mut first: Option<Outcome> = None;
        let mut valid = 0;
        for node in nodes {
            let tried = self.tried(node, value, old);
            if !tried.wrong {
                valid += 1;
                best = None;
                first.get_or_insert(tried);
            } else if valid == 0 {
                better(&mut best, node, tried);
            }
        }
        if valid == 1 {
            return first.unwrap_or_default();
        }
        let found = match valid {
            0 => "Found none valid".to_owned(),
            _ => format!("Found {valid} valid alternatives"),
        };
        let why = format!("must validate one and only one schema (oneOf). {found}");
        let mut outcome = self.refused(&why);
        outcome.merge(self.told(best, value, old));
        outcome
    }

    fn all_of(&mut self, nodes: &[Node], value: &Value, old: Option<&Value>) -> Outcome {
        let mut outcome = Outcome::default();
        let mut valid = 0;
        for node in nodes {
            let checked = self.checks(node, value, old);
            valid += usize::from(!checked.wrong);
            outcome.merge(checked);
        }
        if valid < nodes.len() {
            let none = if valid == 0 { ". None validated" } else { "" };
            let why = format!("must validate all the schemas (allOf){none}");
            outcome.merge(self.refused(&why));
        }
        outcome
    }

    /// What comes of a schema, without a word about what is wrong.
    fn tried(&mut self, node: &Node, value: &Value, old: Option<&Value>) -> Outcome {
        let mute = mem::replace(&mut self.found.mute, true);
        let outcome = self.checks(node, value, old);
        self.found.mute = mute;
        outcome
    }

    /// Tells what is wrong by the alternative that was chosen.
    fn told(
        &mut self,
        chosen: Option<(&Node, Outcome)>,
        value: &Value,
        old: Option<&Value>,
    ) -> Outcome {
        let Some((node, outcome)) = chosen else {
            return Outcome::default();
        };
        if !self.found.mute {
            self.checks(node, value, old);
        }
        outcome
    }

    fn refused(&mut self, why: &str) -> Outcome {
        self.found.wrong(|at| at.refused(why))
    }
}

/// Of alternatives that do not hold, the first of those with most checks that do.
fn better<'n>(best: &mut Option<(&'n Node, Outcome)>, node: &'n Node, tried: Outcome) {
    if best.is_none_or(|(_, best)| tried.matches > best.matches) {
        *best = Some((node, tried));
    }
}
