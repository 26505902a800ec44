//! Sets of fields: what a manager owns, and what a write changed.
//!
//! A set is a tree. A node is a member itself, has members below it, or both; a node without
//! either does not exist, so equal sets are equal trees. Elements are sorted, and every operation
//! is one walk over two sorted lists.

use std::fmt;

use super::path::PathElement;

/// A set of fields of one object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Set<'a> {
    nodes: Vec<(PathElement<'a>, Node<'a>)>,
}

/// What a set says about one place.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Node<'a> {
    /// Whether the place itself is in the set.
    pub(super) member: bool,
    /// What is in the set below it.
    pub(super) children: Set<'a>,
}

impl<'a> Node<'a> {
    /// The place and nothing below it.
    pub(super) fn leaf() -> Node<'a> {
        Node {
            member: true,
            children: Set::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }
}

impl<'a> Set<'a> {
    /// A set of nodes in any order. Of several nodes for one place, the union counts.
    pub(super) fn of(mut nodes: Vec<(PathElement<'a>, Node<'a>)>) -> Set<'a> {
        nodes.retain(|(_, node)| !node.is_empty());
        if !nodes.is_sorted_by(|(a, _), (b, _)| a < b) {
            nodes.sort_by(|(a, _), (b, _)| a.cmp(b));
            if !nodes.is_sorted_by(|(a, _), (b, _)| a < b) {
                return Set::union_of(&[Set { nodes }]);
            }
        }
        Set { nodes }
    }

    /// What is in any of several, which takes no longer for many small ones than for a large one.
    pub(super) fn union_of<'s>(sets: impl IntoIterator<Item = &'s Set<'a>>) -> Set<'a>
    where
        'a: 's,
    {
        Set::joined(sets.into_iter().flat_map(|set| &set.nodes).collect())
    }

    fn joined(mut nodes: Vec<&(PathElement<'a>, Node<'a>)>) -> Set<'a> {
        nodes.sort_by(|(a, _), (b, _)| a.cmp(b));
        let places = nodes.chunk_by(|(a, _), (b, _)| a == b);
        let nodes = places.map(|place| match place {
            [(element, node)] => (element.clone(), node.clone()),
            several => {
                let below = several.iter().flat_map(|(_, node)| &node.children.nodes);
                let node = Node {
                    member: several.iter().any(|(_, node)| node.member),
                    children: Set::joined(below.collect()),
                };
                (several[0].0.clone(), node)
            }
        });
        Set {
            nodes: nodes.collect(),
        }
    }

    /// The set of one path of field names.
    pub(super) fn field(path: &[&'a str]) -> Set<'a> {
        let Some((first, rest)) = path.split_first() else {
            return Set::default();
        };
        let node = Node {
            member: rest.is_empty(),
            children: Set::field(rest),
        };
        Set {
            nodes: vec![(PathElement::Field(first), node)],
        }
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub(super) fn nodes(&self) -> &[(PathElement<'a>, Node<'a>)] {
        &self.nodes
    }

    pub(super) fn into_nodes(self) -> Vec<(PathElement<'a>, Node<'a>)> {
        self.nodes
    }

    /// What it says about a place.
    pub(super) fn get(&self, element: &PathElement<'_>) -> Option<&Node<'a>> {
        let at = self
            .nodes
            .binary_search_by(|(candidate, _)| candidate.cmp(element))
            .ok()?;
        Some(&self.nodes[at].1)
    }

    /// What is in either.
    pub(super) fn union(&self, other: &Set<'a>) -> Set<'a> {
        let mut nodes = Vec::with_capacity(self.nodes.len().max(other.nodes.len()));
        let (mut a, mut b) = (self.nodes.iter().peekable(), other.nodes.iter().peekable());
        while let (Some(left), Some(right)) = (a.peek(), b.peek()) {
            match left.0.cmp(&right.0) {
                std::cmp::Ordering::Less => nodes.extend(a.next().cloned()),
                std::cmp::Ordering::Greater => nodes.extend(b.next().cloned()),
                std::cmp::Ordering::Equal => {
                    let node = Node {
                        member: left.1.member || right.1.member,
                        children: left.1.children.union(&right.1.children),
                    };
                    nodes.push((left.0.clone(), node));
                    a.next();
                    b.next();
                }
            }
        }
        nodes.extend(a.cloned());
        nodes.extend(b.cloned());
        Set { nodes }
    }

    /// What is in both.
    pub(super) fn intersection(&self, other: &Set<'_>) -> Set<'a> {
        self.against(other, |node, other| match other {
            None => Node::default(),
            Some(other) => Node {
                member: node.member && other.member,
                children: node.children.intersection(&other.children),
            },
        })
    }

    /// Whether anything is in both.
    pub(super) fn intersects(&self, other: &Set<'_>) -> bool {
        let mut rest = other.nodes.as_slice();
        self.nodes.iter().any(|(element, node)| {
            advance(&mut rest, element).is_some_and(|other| {
                node.member && other.member || node.children.intersects(&other.children)
            })
        })
    }

    /// What is in this one alone. A member of the other set takes away itself, not what is below.
    pub(super) fn difference(&self, other: &Set<'_>) -> Set<'a> {
        self.against(other, |node, other| match other {
            None => node.clone(),
            Some(other) => Node {
                member: node.member && !other.member,
                children: node.children.difference(&other.children),
            },
        })
    }

    /// Takes out the field at a path and all below it.
    pub(super) fn cut(&mut self, path: &[&str]) {
        self.edit(path, |node| *node = Node::default());
    }

    /// Takes out the field at a path, but not what is below it.
    pub(super) fn disown(&mut self, path: &[&str]) {
        self.edit(path, |node| node.member = false);
    }

    fn edit(&mut self, path: &[&str], change: fn(&mut Node<'a>)) {
        let Some((first, rest)) = path.split_first() else {
            return;
        };
        let field = PathElement::Field(first);
        let Ok(at) = self
            .nodes
            .binary_search_by(|(candidate, _)| candidate.cmp(&field))
        else {
            return;
        };
        let node = &mut self.nodes[at].1;
        match rest {
            [] => change(node),
            rest => node.children.edit(rest, change),
        }
        if node.is_empty() {
            self.nodes.remove(at);
        }
    }

    /// Each node, as `rule` leaves it next to the other set's node of the same place.
    fn against<'b>(
        &self,
        other: &Set<'b>,
        rule: impl Fn(&Node<'a>, Option<&Node<'b>>) -> Node<'a>,
    ) -> Set<'a> {
        let mut rest = other.nodes.as_slice();
        let mut nodes = Vec::with_capacity(self.nodes.len());
        for (element, node) in &self.nodes {
            let kept = rule(node, advance(&mut rest, element));
            if !kept.is_empty() {
                nodes.push((element.clone(), kept));
            }
        }
        Set { nodes }
    }

    /// Every path, those of one level before those below it.
    pub(super) fn paths(&self) -> Vec<Vec<PathElement<'a>>> {
        let mut paths = Vec::new();
        self.gather(&mut Vec::new(), &mut paths);
        paths
    }

    fn gather(&self, prefix: &mut Vec<PathElement<'a>>, paths: &mut Vec<Vec<PathElement<'a>>>) {
        for (element, _) in self.nodes.iter().filter(|(_, node)| node.member) {
            let mut path = prefix.clone();
            path.push(element.clone());
            paths.push(path);
        }
        for (element, node) in &self.nodes {
            prefix.push(element.clone());
            node.children.gather(prefix, paths);
            prefix.pop();
        }
    }
}

/// The node of a place among sorted ones, dropping those before it. They are passed in doubling steps: a small set beside
/// a large one takes a few looks for each of its places.
fn advance<'n, 'b>(
    rest: &mut &'n [(PathElement<'b>, Node<'b>)],
    element: &PathElement<'_>,
) -> Option<&'n Node<'b>> {
    let before = |(candidate, _): &(PathElement<'_>, Node<'_>)| candidate.cmp(element).is_lt();
    let mut step = 1;
    while rest.get(step - 1).is_some_and(before) {
        step *= 2;
    }
    let passed = step / 2;
    let last = &rest[passed..step.min(rest.len())];
    *rest = &rest[passed + last.partition_point(before)..];
    let ((candidate, node), after) = rest.split_first()?;
    if candidate != element {
        return None;
    }
    *rest = after;
    Some(node)
}

/// One path a line.
impl fmt::Display for Set<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, path) in self.paths().iter().enumerate() {
            let newline = if at > 0 { "\n" } else { "" };
            write!(out, "{newline}{}", shown(path))?;
        }
        Ok(())
    }
}

/// A path as in messages: `.spec.containers[name="c"].image`.
pub(super) fn shown(path: &[PathElement<'_>]) -> String {
    path.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::fields_v1;
    use serde_json::{Value, json};

    fn lines(set: &Set<'_>) -> String {
        set.to_string().replace('\n', " ")
    }

    #[test]
    fn algebra() {
        let a =
            json!({"f:a": {".": {}, "f:b": {}, "f:c": {"k:{\"n\":1}": {"f:d": {}}}}, "f:z": {}});
        let b = json!({"f:a": {}, "f:c": {}, "f:z": {"f:y": {}}});
        let [a, b] = [&a, &b].map(|value: &Value| fields_v1::decode(value).expect("a set"));
        let check = |set: Set<'_>, expected: &str| assert_eq!(lines(&set), expected);
        check(a.union(&b), ".a .c .z .a.b .a.c[n=1].d .z.y");
        check(a.intersection(&b), ".a");
        check(a.difference(&b), ".z .a.b .a.c[n=1].d");
        check(b.difference(&a), ".c .z.y");
        assert!(a.intersects(&b) && !Set::field(&["c"]).intersects(&a));
        assert_eq!(a.union(&b), b.union(&a));
        assert!(a.difference(&a).is_empty() && a.intersection(&a) == a);
        assert_eq!(Set::union_of([&a, &b, &a]), a.union(&b));
        assert_eq!(Set::union_of([]), Set::default());
        let edited = |change: fn(&mut Set<'_>)| {
            let mut set = a.clone();
            change(&mut set);
            lines(&set)
        };
        assert_eq!(edited(|set| set.disown(&["a"])), ".z .a.b .a.c[n=1].d");
        assert_eq!(edited(|set| set.cut(&["a", "c"])), ".a .z .a.b");
        assert_eq!(edited(|set| set.cut(&["a"])), ".z");
        assert_eq!(edited(|set| set.cut(&["q", "c"])), lines(&a));
    }

    #[test]
    fn places_are_found_among_others() {
        let set = |names: &[&'static str]| {
            let nodes = names
                .iter()
                .map(|name| (PathElement::Field(name), Node::leaf()));
            Set::of(nodes.collect())
        };
        let all = ["a", "b", "c", "d", "e", "f", "g"];
        for sought in 0..1_u32 << all.len() {
            let some: Vec<&str> = (0..all.len())
                .filter(|at| sought & 1 << at != 0)
                .map(|at| all[at])
                .collect();
            assert_eq!(set(&some).intersection(&set(&all)), set(&some));
            assert_eq!(set(&all).intersection(&set(&some)), set(&some));
            let others = set(&all).difference(&set(&some));
            assert!(!others.intersects(&set(&some)));
            assert_eq!(others.union(&set(&some)), set(&all));
        }
    }
}
