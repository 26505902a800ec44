//! ResourceQuota admission: an object is charged to the quotas it counts against before it is stored.
//!
//! What is used is in the status of the quota, as upstream. When that leaves no room, and no other charge is on its way
//! to being stored, what is there is counted: so a namespace whose quotas no controller follows is not shut for ever.
//! What was counted is kept in the status even if the quota is full all the same, so that others need not count; and where
//! it took long, it is not done again for a while, unless something was given back.

mod full;

use std::collections::HashMap;

use jiff::Timestamp;
use parking_lot::Mutex;
use sampan_api::amounts::{self, Amounts};
use sampan_api::resource::{Resource, find as find_resource, resources};
use sampan_api::status::Status;
use sampan_api::{object, quota};
use sampan_store::Key;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::api::{Api, Result};
use crate::object::{Obj, Stored};
use crate::read::{all, find};
use crate::respond::parse;
use crate::write::{Attempts, replace};
use full::Full;

/// What is looked through before others get their turn: about a millisecond's work.
const TURN: usize = 256 * 1024;

/// Charges that are on their way, and what was counted for them.
#[derive(Default)]
pub(crate) struct Charges {
    /// Those that are not stored yet, by namespace.
    underway: Mutex<HashMap<String, usize>>,
    full: Full,
}

/// A charge on its way.
pub(super) struct Charge<'a> {
    charges: &'a Charges,
    namespace: String,
}

impl Charges {
    fn begin(&self, namespace: &str) -> Charge<'_> {
        *self
            .underway
            .lock()
            .entry(namespace.to_owned())
            .or_default() += 1;
        Charge {
            charges: self,
            namespace: namespace.to_owned(),
        }
    }

    /// Whether only the one who asks has a charge on its way.
    fn only_one(&self, namespace: &str) -> bool {
        let underway = self.underway.lock();
        underway.get(namespace).is_none_or(|count| *count <= 1)
    }

    /// After a write: what it gave back may be counted.
    pub(super) fn changed(&self, old: Option<&Obj>, new: Option<&Obj>) {
        if let Some(old) = old {
            self.full.changed(old, new);
        }
    }
}

impl Drop for Charge<'_> {
    fn drop(&mut self) {
        let mut charges = self.charges.underway.lock();
        if let Some(count) = charges.get_mut(&self.namespace) {
            *count -= 1;
            if *count == 0 {
                charges.remove(&self.namespace);
            }
        }
    }
}

/// A write of an object, or of a part of it.
pub(super) struct Write<'a> {
    pub(super) resource: &'static Resource,
    pub(super) part: &'a str,
    pub(super) new: &'a Value,
    pub(super) old: Option<&'a Value>,
    pub(super) dry_run: bool,
}

impl Write<'_> {
    /// Whether it can make the object count for more.
    fn counts(&self) -> bool {
        if !self.resource.namespaced {
            return false;
        }
        match (
            self.resource.group,
            self.resource.plural,
            self.part,
            self.old,
        ) {
            (_, _, "", None) => true,
            ("", "pods", "", Some(old)) => {
                quota::is_terminating(old) != quota::is_terminating(self.new)
            }
            ("", "pods", "resize", Some(_)) => true,
            ("", "services" | "persistentvolumeclaims", "", Some(_)) => true,
            _ => false,
        }
    }
}

/// Charges a write to the quotas of its namespace, or refuses it.
pub(super) async fn charge<'a>(api: &'a Api, write: &Write<'_>) -> Result<Option<Charge<'a>>> {
    let namespace = object::namespace(write.new);
    if !write.counts() {
        return Ok(None);
    }
    let quotas = all(api, "", "resourcequotas", namespace).await?;
    if quotas.is_empty() {
        return Ok(None);
    }
    // One after the other: they all write the same quotas.
    let line = Key::new("resourcequotas", &format!("{namespace}/"));
    let ends = Instant::now() + api.limits.request_timeout;
    let _head = api.lines.head(&line, ends).await?;
    let charge = api.charges.begin(namespace);
    // As those before have left them.
    let quotas = all(api, "", "resourcequotas", namespace).await?;
    let now = Timestamp::now();
    let usage = quota::usage(write.resource, write.new, now);
    let before = write.old.map(|old| quota::usage(write.resource, old, now));
    for entry in quotas {
        one(api, entry, write, &usage, before.as_ref()).await?;
    }
    Ok(Some(charge))
}

async fn one(
    api: &Api,
    mut entry: Stored,
    write: &Write<'_>,
    usage: &Amounts,
    before: Option<&Amounts>,
) -> Result<()> {
    let row = quotas()?;
    let name = entry.object.name().to_owned();
    let refuse = |why: &str| {
        Err(Status::forbidden(
            write.resource,
            object::name(write.new),
            why,
        ))
    };
    let mut attempts = Attempts::new(api, entry.key.clone());
    loop {
        attempts.next().await?;
        let mut value = parse(&entry.object.raw)?;
        let hard = hard(&value);
        if !quota::matches(write.resource, &value, &hard, write.new) {
            return Ok(());
        }
        let counted = write
            .old
            .is_some_and(|old| quota::matches(write.resource, &value, &hard, old));
        let delta = match before.filter(|_| counted) {
            Some(before) => quota::increase(usage, before),
            None => usage.clone(),
        };
        let delta: Amounts = delta
            .into_iter()
            .filter(|(name, amount)| hard.contains_key(name) && !amount.is_zero())
            .collect();
        if delta.is_empty() {
            return Ok(());
        }
        if write.resource.bucket == "pods"
            && let Some(missing) = quota::unspecified(&hard, write.new)
        {
            return refuse(&format!("failed quota: {name}: {missing}"));
        }
        let mut used = amounts::at(&value, "status.used");
        let known = hard.keys().all(|name| used.contains_key(name));
        if !known {
            used = count(api, &value, &hard).await?.0;
        }
        let mut sum = quota::charge(&name, &hard, &used, &delta);
        let full = &api.charges.full;
        let begun = Instant::now();
        if sum.is_err()
            && known
            && api.charges.only_one(object::namespace(write.new))
            && full.may_count(&entry.key, begun)
        {
            full.begin(&entry.key, entry.object.namespace(), &hard);
            let (counted, bytes) = count(api, &value, &hard).await?;
            sum = quota::charge(&name, &hard, &counted, &delta);
            if sum.is_ok() {
                full.found_room(&entry.key);
            } else {
                full.in_vain(&entry.key, bytes, begun, Instant::now());
                // Not a charge but the truth, for a dry run as well. Who writes it at the same time knows it, too.
                if counted != used {
                    set_status(&mut value, &hard, &counted);
                    replace(api, row, &entry, value.clone()).await?;
                }
            }
        }
        let sum = match sum {
            Ok(sum) => sum,
            Err(why) => return refuse(&why),
        };
        if write.dry_run {
            return Ok(());
        }
        set_status(&mut value, &hard, &sum);
        if replace(api, row, &entry, value).await?.is_some() {
            return Ok(());
        }
        match find(api, row, entry.object.namespace(), &name).await? {
            Some(newest) => entry = newest,
            None => return Ok(()),
        }
    }
}

fn quotas() -> Result<&'static Resource> {
    find_resource("", "v1", "resourcequotas").ok_or_else(Status::path_not_found)
}

/// What the quota enforces: what its status says, or its spec before anybody looked at it.
fn hard(quota: &Value) -> Amounts {
    let part = if object::is_empty(quota, "status.hard") {
        "spec.hard"
    } else {
        "status.hard"
    };
    amounts::at(quota, part)
}

fn set_status(quota: &mut Value, hard: &Amounts, used: &Amounts) {
    let status = json!({"hard": amounts::to_value(hard), "used": amounts::to_value(used)});
    object::set(quota, "status", status);
}

/// What is used, out of what is there, and how many bytes of it were looked through.
async fn count(api: &Api, quota: &Value, hard: &Amounts) -> Result<(Amounts, usize)> {
    let now = Timestamp::now();
    let mut used: Amounts = hard
        .keys()
        .map(|name| (name.clone(), Default::default()))
        .collect();
    let mut seen = Vec::new();
    let (mut bytes, mut turn) = (0, 0);
    for row in resources() {
        let stored = row.namespaced && !row.bucket.is_empty() && !seen.contains(&row.bucket);
        if !stored || !hard.keys().any(|name| quota::concerns(row, name)) {
            continue;
        }
        seen.push(row.bucket);
        for entry in all(api, row.group, row.plural, object::namespace(quota)).await? {
            bytes += entry.object.raw.len();
            if bytes - turn > TURN {
                turn = bytes;
                tokio::task::yield_now().await;
            }
            let value = parse(&entry.object.raw)?;
            if quota::matches(row, quota, hard, &value) {
                amounts::add(&mut used, &quota::usage(row, &value, now));
            }
        }
    }
    used.retain(|name, _| hard.contains_key(name));
    Ok((used, bytes))
}

/// A quota that is new, or says something new, is counted for at once.
pub(super) async fn admit(api: &Api, quota: &mut Value) -> Result<()> {
    let wanted = amounts::at(quota, "spec.hard");
    if wanted == amounts::at(quota, "status.hard") {
        return Ok(());
    }
    let (used, _) = count(api, quota, &wanted).await?;
    set_status(quota, &wanted, &used);
    Ok(())
}
