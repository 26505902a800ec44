//! Creates, gets, lists and watches, against any Kubernetes API.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::connection::Endpoint;
use crate::load::{Load, Until};
use crate::profile::Profile;
use crate::table::{self, Verdicts};
use crate::{ApiArgs, LoadArgs, Workspace, watch};

pub(crate) async fn run(args: ApiArgs) -> anyhow::Result<()> {
    let config = args.target.config().await?;
    let endpoint = Endpoint::new(&config)?;
    let workspace = Workspace::open(config, &args.target).await?;
    let load = Load::new(endpoint, &workspace.name, args.load.size);
    let mut verdicts = Verdicts::default();
    measure(&load, &args.load, &mut verdicts).await?;
    verdicts.print();
    workspace.close().await
}

/// Everything that can be measured from outside.
pub(crate) async fn measure(
    load: &Load,
    args: &LoadArgs,
    verdicts: &mut Verdicts,
) -> anyhow::Result<()> {
    let time = Duration::from_secs(args.seconds);
    table::header();
    let before = Profile::read(&load.endpoint).await?;
    let creates = load.creates(args.creating, Until::Time(time)).await?;
    let after = Profile::read(&load.endpoint).await?;
    verdicts.at_least(
        &format!("durable creates, {} connections", args.creating),
        "1/s",
        creates.per_second,
        15_000.0,
    );
    let gets = load.gets(args.reading, time).await?;
    verdicts.at_least(
        &format!("gets, {} connections", args.reading),
        "1/s",
        gets.per_second,
        60_000.0,
    );
    let bare = load.bare_gets(args.reading, time).await?;
    let share = gets.per_second / bare.per_second * 100.0;
    let missing = (args.list as u64).saturating_sub(load.created.load(Ordering::Relaxed));
    if missing > 0 {
        load.creates(args.creating, Until::Count(missing)).await?;
    }
    let list = load.lists(args.list).await?;
    verdicts.at_most(
        &format!("list of {}, p50", args.list),
        "ms",
        list.p50_ms,
        50.0,
    );
    let watch = watch::deliveries(load, args.watchers, args.changes, time).await?;
    verdicts.at_most(
        &format!("{} watchers x {}/s, p99", args.watchers, args.changes),
        "ms",
        watch.p99_ms,
        50.0,
    );
    verdicts.at_least(
        &format!("{} watchers, deliveries", args.watchers),
        "1/s",
        watch.per_second,
        args.watchers as f64 * args.changes as f64 * 0.99,
    );
    after.print_since(&before, creates);
    println!(
        "gets are {share:.0}% of what answers of that length over TLS reach here, with nothing behind them"
    );
    Ok(())
}
